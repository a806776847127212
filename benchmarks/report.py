"""Write the results of `make bench` for people: Markdown tables and a plot."""

import math
import re

OF_ALL_SEEDS = (("Retrain", "ours", "ours_rows_to_model"), ("fastText", "fasttext", "fasttext_train"))
"""Title, name and seconds of what is trained in turns."""
START, END = "<!-- written by make bench -->", "<!-- end of make bench -->"


def methods(results):
    """The table of methods, as lines of Markdown: ours and fastText as means and medians of all seeds, the others once each."""
    accuracy, seconds, size = results["accuracy"], results["seconds"], results["bytes"]
    yield "| | test accuracy (%) | seconds from rows in memory to a trained model | size of the model |"
    yield "|---|---|---|---|"
    for title, name, time in OF_ALL_SEEDS:
        correct = with_spread(accuracy[name], "{:.2f}", "mean", 100)
        taken = with_spread(seconds[time], "{:.2f}")
        yield f"| {title} | {correct} | {taken} | {size[name] / 1e6:.1f} MB |"
    for title, correct, taken in once(results):
        yield f"| {title} | {100 * correct:.2f} | {taken:.1f} | |"


def once(results):
    """Title, accuracy and seconds of what was trained once, on one thread; none of them in a quick run."""
    for title, name in (("NB-SVM", "nb_svm"), ("LinearSVC", "linear_svc")):
        if found := results.get("others", {}).get(name):
            yield title, found["accuracy"], found["feature_seconds"] + found["train_seconds"]
    if course := results.get("course"):
        yield "course exercise", course["test"], course["feature_seconds"] + course["loop_seconds"]


def ratios(results):
    """The table of ours / fastText, as lines of Markdown."""
    turns, seconds, rows_per_second = (results[name] for name in ("ratio_by_turns", "seconds", "rows_per_second"))
    training, both = seconds["fasttext_train"], seconds["fasttext_rows_to_model"]
    yield "| seconds | Retrain | fastText | Retrain / fastText |"
    yield "|---|---|---|---|"
    for title, ours, theirs, ratio in (
        ("from rows in memory to a trained model", "ours_rows_to_model", training, "rows_to_model"),
        ("the same, with fastText's preprocessing", "ours_rows_to_model", both, "rows_to_model_with_spacing"),
        ("training loop", "ours_loop", training, "train_loop"),
        ("training loop until fastText's accuracy", "ours_to_quality", training, "time_to_quality"),
        ("from rows in memory until fastText's accuracy", "ours_rows_to_quality", training, "rows_to_quality"),
    ):
        shown = " | ".join(with_spread(values, "{:.2f}") for values in (seconds[ours], theirs, turns[ratio]))
        yield f"| {title} | {shown} |"
    speeds = " | ".join(with_spread(rows_per_second[name], "{:,.0f}") for name in ("ours", "fasttext"))
    ratio = with_spread(turns["predict_rows_per_second"], "{:.2f}")
    yield f"| rows predicted per second, one thread | {speeds} | {ratio} |"


def with_spread(values, form, middle="median", factor=1):
    """A value, with the smallest and the largest in brackets; "never" if some run did not reach the goal."""
    shown = (
        "never" if values[key] is None else form.format(factor * values[key]) for key in (middle, "least", "largest")
    )
    return "{} ({} to {})".format(*shown)


def remarks(results):
    """Further measurements, one line each."""
    growth, overhead, small, seconds = (results[name] for name in ("growth", "overhead", "small", "seconds"))
    row, load = (seconds[f"ours_{what}"]["median"] for what in ("single_row", "load"))
    yield f"* The model predicts one row in {row * 1000:.2f} ms and loads in {load:.2f} s."
    half = results["accuracy"]["ours_float16"]["mean"]
    yield f"* Saved in 16 bits, as committed (`train.saved_dtype: float16`), the accuracy is {100 * half:.2f} %."
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
        f"{machine['processor']}, {machine['cores']} cores, of which each may use {machine['threads']}; "
        f"Python {machine['python']}, {versions}."
    )
    yield f"Retrain and fastText are trained in turns, with the seeds 1 to {seeds}; the others once, on one thread."
    yield "Accuracies are means and times medians, with the smallest and the largest in brackets."
    yield "Ratios are medians of the ratios within a turn; Retrain is faster below 1 for seconds, above 1 for rows per second."
    yield "Seconds of fastText are those of its training alone, except where its preprocessing (`spacing_seconds`) is named."


def table(results):
    """All lines that `make bench` prints and writes."""
    lines = [*methods(results), "", *ratios(results), ""]
    if "others" in results:
        lines += [*remarks(results), ""]
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

    label = f"Retrain during training, {len(results['curves'])} seeds"
    figure, axes = plt.subplots(figsize=(7, 4.2), layout="constrained")
    for curve in results["curves"]:
        axes.plot(
            [at for at, _ in curve],
            [100 * metric for _, metric in curve],
            color="#9ecae1",
            linewidth=1,
            label=label,
        )
        label = None
    points = [
        (title, results["seconds"][time]["median"], results["accuracy"][name]["mean"])
        for title, name, time in OF_ALL_SEEDS
    ] + [(title, taken, correct) for title, correct, taken in once(results)]
    left = ((-8, -4), "right")
    places = {"LinearSVC": left, "course exercise": left}
    for name, at, metric in points:
        axes.plot(at, 100 * metric, "o", color="#08519c" if name == "Retrain" else "#555555")
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
