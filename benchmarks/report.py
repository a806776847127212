"""Write the results of `make bench` for people: Markdown tables and a plot."""

import math
import re

RECIPES = ("ours", "fast", "fasttext")
START, END = "<!-- written by make bench -->", "<!-- end of make bench -->"


def speed(results):
    """The table of times, as lines of Markdown."""
    seconds, rows_per_second = results["seconds"], results["rows_per_second"]
    turns, fasttext = results["ratio_by_turns"], seconds["fasttext_train"]

    def times_faster(ratio):
        """How many times as fast as fastText, from a ratio of seconds."""
        return f"{1 / turns[ratio]['median']:.2f} x"

    rows = [
        ("training loop", "ours_loop", "fast_loop", times_faster("ours_train_loop"), times_faster("train_loop")),
        (
            "from rows in memory to a trained model", "ours_rows_to_model", "fast_rows_to_model",
            times_faster("ours_rows_to_model"), times_faster("rows_to_model"),
        ),
        ("training loop until fastText's accuracy", None, "fast_to_quality", "", times_faster("time_to_quality")),
        ("from rows in memory until fastText's accuracy", None, "fast_rows_to_quality", "", times_faster("rows_to_quality")),
    ]  # fmt: skip
    yield "| seconds | committed | fast recipe | fastText | committed is faster by | fast recipe is faster by |"
    yield "|---|---|---|---|---|---|"
    for name, ours, fast, ours_ratio, fast_ratio in rows:
        shown = (with_spread(seconds[key], "{:.2f}") if key else "" for key in (ours, fast))
        yield f"| {name} | {' | '.join(shown)} | {with_spread(fasttext, '{:.2f}')} | {ours_ratio} | {fast_ratio} |"
    speeds = " | ".join(with_spread(rows_per_second[name], "{:,.0f}") for name in RECIPES)
    faster = " | ".join(
        f"{turns[name]['median']:.2f} x" for name in ("predict_rows_per_second", "fast_predict_rows_per_second")
    )
    yield f"| rows predicted per second, one thread | {speeds} | {faster} |"


def quality(results):
    """The table of accuracies and sizes, as lines of Markdown."""
    accuracy, size = results["accuracy"], results["bytes"]
    yield "| | committed | fast recipe | fastText |"
    yield "|---|---|---|---|"
    yield f"| test accuracy (%), mean | {' | '.join(with_spread(accuracy[name], '{:.2f}', 'mean', 100) for name in RECIPES)} |"
    yield f"| size of the model | {' | '.join(f'{size[name] / 1e6:.1f} MB' for name in RECIPES)} |"


def with_spread(values, form, middle="median", factor=1):
    """A value, with the smallest and the largest in brackets; "never" if some run did not reach the goal."""
    shown = (
        "never" if values[key] is None else form.format(factor * values[key]) for key in (middle, "least", "largest")
    )
    return "{} ({} to {})".format(*shown)


def others(results):
    """The other methods, trained once each on the same rows, as lines of Markdown."""
    course = results["course"]
    rows = [
        (name, found["accuracy"], found["feature_seconds"] + found["train_seconds"])
        for name, found in (
            ("TF-IDF and LinearSVC", results["others"]["linear_svc"]),
            ("NB-SVM", results["others"]["nb_svm"]),
        )
    ]
    rows.append(("the course exercise's recipe", course["test"], course["feature_seconds"] + course["loop_seconds"]))
    yield "| once each, on one thread | test accuracy (%) | seconds from rows in memory to a trained model |"
    yield "|---|---|---|"
    yield from (f"| {name} | {100 * accuracy:.2f} | {taken:.1f} |" for name, accuracy, taken in rows)


def remarks(results):
    """Further measurements, one line each."""
    growth, overhead, small, seconds = (results[name] for name in ("growth", "overhead", "small", "seconds"))
    for name, title in (("ours", "committed recipe"), ("fast", "fast recipe")):
        row, load = (seconds[f"{name}_{what}"]["median"] for what in ("single_row", "load"))
        yield f"* The {title} predicts one row in {row * 1000:.2f} ms and loads in {load:.2f} s."
    half = results["accuracy"]["ours_float16"]["mean"]
    yield f"* Saved in 16 bits (`train.saved_dtype: float16`), the accuracy is {100 * half:.2f} % and the weights take half the space."
    stages = ", ".join(f"{name} {stage['ratio']:.2f}" for name, stage in overhead["stages"].items())
    yield f"* Time of a stage without its own work, relative to importing its libraries and opening an MLflow run: {stages}."
    idle = overhead["idle_repro"]["ratio"]
    yield f"* `dvc repro` with nothing to do takes {idle:.2f} times as long as DVC with as many empty stages."
    base = growth["sizes"][0]["rows"]
    for factor, ratio in growth["time_per_row"].items():
        memory = growth["train_memory"][factor]
        yield (
            f"* With {factor} times as many rows as {base:,}, the time per row (features and loop) "
            f"is {ratio:.2f} times as long, and train needs {memory:.2f} times the memory."
        )
    docstrings, diabetes = small["docstrings"], small["diabetes"]
    yield (
        f"* `docstrings`: accuracy {100 * docstrings['ours']:.2f} %; "
        f"LinearSVC on the same split {100 * docstrings['linear_svc']:.2f} %."
    )
    yield (
        f"* `diabetes`: mean r² over {diabetes['split_seeds']} splits {diabetes['ours']['mean']:.3f}; "
        f"Ridge {diabetes['ridge']['mean']:.3f}."
    )


def everyday(results):
    """The table of the everyday round: one parameter changes, and `dvc repro` runs."""
    found = results["everyday"]
    repro, plain = (with_spread(found[f"{name}_seconds"], "{:.1f}") for name in ("repro", "plain"))
    yield "| one parameter of `diabetes` changes | `dvc repro plot@diabetes` | `benchmarks/plain.py` | ratio |"
    yield "|---|---|---|---|"
    yield f"| seconds, median of {len(found['ratio_by_pairs'])} | {repro} | {plain} | {found['ratio']:.2f} |"


def described(results):
    """The data, the machine and the versions."""
    machine = results["machine"]
    versions = ", ".join(f"{name} {number}" for name, number in machine["versions"].items())
    seeds = len(results["accuracy"]["ours"]["values"])
    yield f"{results['rows']:,} train rows, official test rows."
    yield (
        f"{machine['processor']}, {machine['cores']} cores, {machine['threads']} threads each; "
        f"Python {machine['python']}, {versions}."
    )
    yield f"The three are trained in turns, with the seeds 1 to {seeds}; medians, with the smallest and the largest in brackets."
    yield "Ratios are medians of the ratios within a turn; above 1 x is faster than fastText."


def table(results):
    """All lines that `make bench` prints and writes."""
    lines = [*quality(results), "", *speed(results), ""]
    if "others" in results:
        lines += [*others(results), "", *remarks(results), ""]
    if "everyday" in results:
        lines += [*everyday(results), ""]
    return lines


def block(results):
    """The part of the page that is written by `make bench`, with the marks around it."""
    lines = [
        START,
        "",
        *table(results),
        *described(results),
        "",
        "![Accuracy against seconds](../../benchmarks/frontier.png)",
        "",
        END,
    ]
    return "\n".join(lines)


def write(results, picture, page):
    """Put the tables between their marks in a page, and draw the plot."""
    text, shown = page.read_text(encoding="utf-8"), block(results)
    page.write_text(re.sub(f"{re.escape(START)}.*{re.escape(END)}", lambda _: shown, text, flags=re.DOTALL), "utf-8")
    draw(results, picture)


def draw(results, picture):
    """Accuracy on the test split against seconds from rows in memory to a model."""
    import matplotlib as mpl

    mpl.use("agg")
    from matplotlib import pyplot as plt
    from matplotlib.ticker import NullFormatter, ScalarFormatter

    seconds = results["seconds"]
    features, label = seconds["fast_features"]["median"], "fast recipe during training, 5 seeds"
    figure, axes = plt.subplots(figsize=(7, 4.2), layout="constrained")
    for curve in results["curves"]:
        axes.plot(
            [features + at for at, _ in curve],
            [100 * metric for _, metric in curve],
            color="#9ecae1",
            linewidth=1,
            label=label,
        )
        label = None
    points = [
        ("Retrain", seconds["ours_rows_to_model"]["median"], results["accuracy"]["ours"]["mean"]),
        ("Retrain, fast recipe", seconds["fast_rows_to_model"]["median"], results["accuracy"]["fast"]["mean"]),
        ("fastText", results["seconds"]["fasttext_train"]["median"], results["accuracy"]["fasttext"]["mean"]),
        ("LinearSVC", sum(results["others"]["linear_svc"][name] for name in ("feature_seconds", "train_seconds")), results["others"]["linear_svc"]["accuracy"]),
        ("NB-SVM", sum(results["others"]["nb_svm"][name] for name in ("feature_seconds", "train_seconds")), results["others"]["nb_svm"]["accuracy"]),
        ("course exercise", results["course"]["feature_seconds"] + results["course"]["loop_seconds"], results["course"]["test"]),
    ]  # fmt: skip
    left = ((-8, -4), "right")
    places = {"LinearSVC": left, "course exercise": left, "Retrain, fast recipe": ((8, -14), "left")}
    for name, at, metric in points:
        axes.plot(at, 100 * metric, "o", color="#08519c" if name.startswith("Retrain") else "#555555")
        where, side = places.get(name, ((8, -4), "left"))
        axes.annotate(
            f"{name} {100 * metric:.2f}",
            (at, 100 * metric),
            textcoords="offset points",
            xytext=where,
            ha=side,
            fontsize=9,
        )
    axes.set_xscale("log")
    axes.set_xlim(1, 2 * max(at for _, at, _ in points))
    axes.xaxis.set_major_formatter(ScalarFormatter())
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_xticks([1, 2, 5, 10, 20, 50])
    axes.set_ylim(
        math.floor(100 * min(metric for *_, metric in points)) - 0.5,
        math.ceil(100 * max(metric for *_, metric in points)) + 0.2,
    )
    axes.set_xlabel("seconds from rows in memory to a model (logarithmic)")
    axes.set_ylabel("accuracy on the test split (%)")
    axes.set_title("AG News: accuracy against time")
    axes.grid(alpha=0.3)
    axes.legend(loc="lower right", frameon=False, fontsize=9)
    figure.savefig(picture, dpi=150)
