"""What `make bench` found, for people: a table and a picture."""

import math
import re

RECIPES = ("ours", "fast", "fasttext")
BEGIN, END = "<!-- benchmarks: written by make bench -->", "<!-- end of benchmarks -->"


def table(results):
    """The figures as lines of Markdown."""
    accuracy, seconds, speed, size = (results[name] for name in ("accuracy", "seconds", "rows_per_second", "bytes"))
    turns, ratio = results["ratio_by_turns"], results["ratio"]
    trained = with_spread(seconds["fasttext_train"], "{:.2f} s")

    def timed(name, *ratios):
        """Seconds of both of ours beside fastText's."""
        ours = [with_spread(seconds[f"{recipe}_{name}"], "{:.2f} s") for recipe in ("ours", "fast")]
        return (*ours, trained, *(with_spread(turns[ratio], "{:.2f}") for ratio in ratios))

    def reached(name, ratio):
        """Seconds of the fast variant beside fastText's."""
        return ("", with_spread(seconds[name], "{:.2f} s"), trained, "", with_spread(turns[ratio], "{:.2f}"))

    rows = [
        ("test accuracy, mean", *(with_spread(accuracy[name], "{:.4f}", "mean") for name in RECIPES), "", ""),
        ("training loop", *timed("loop", "ours_train_loop", "train_loop")),
        ("rows in memory to a trained model", *timed("rows_to_model", "ours_rows_to_model", "rows_to_model")),
        ("loop until fastText's accuracy", *reached("fast_to_quality", "time_to_quality")),
        ("rows in memory until fastText's accuracy", *reached("fast_rows_to_quality", "rows_to_quality")),
        (
            "rows predicted per second, one thread",
            *(with_spread(speed[name], "{:,.0f}") for name in RECIPES),
            *(with_spread(turns[f"{of}predict_rows_per_second"], "{:.2f}") for of in ("", "fast_")),
        ),
        (
            "size of the model",
            *(f"{size[name] / 1e6:.1f} MB" for name in RECIPES),
            f"{ratio['model_bytes']:.3f}",
            f"{ratio['fast_model_bytes']:.3f}",
        ),
    ]
    lines = ["| | ours | fast variant | fastText | ours / fastText | fast / fastText |", "|---|---|---|---|---|---|"]
    lines += [f"| {' | '.join(row)} |" for row in rows]
    lines += ["", f"Of ours, {single_rows(seconds, 'ours')}; of the fast variant, {single_rows(seconds, 'fast')}."]
    if "others" in results:
        lines += ["", *others(results), "", *beyond_fasttext(results)]
    return lines


def with_spread(figures, form, middle="median"):
    """A figure, with the least and the largest in brackets; "never" stands for what some run did not reach."""
    shown = ("never" if figures[name] is None else form.format(figures[name]) for name in (middle, "least", "largest"))
    return "{} ({} to {})".format(*shown)


def others(results):
    """What else was trained on the same rows, once each, as lines of Markdown."""
    course = results["course"]
    rows = [
        (name, found["accuracy"], found["feature_seconds"] + found["train_seconds"])
        for name, found in (
            ("TF-IDF and LinearSVC", results["others"]["linear_svc"]),
            ("NB-SVM", results["others"]["nb_svm"]),
        )
    ]
    rows.append(("the course's recipe", course["test"], course["feature_seconds"] + course["loop_seconds"]))
    return [
        "| once each, on one thread | test accuracy | rows in memory to a trained model |",
        "|---|---|---|",
        *(f"| {name} | {accuracy:.4f} | {taken:.1f} s |" for name, accuracy, taken in rows),
    ]


def single_rows(seconds, name):
    """How long a single row takes, and loading the model."""
    row, load = (seconds[f"{name}_{what}"]["median"] for what in ("single_row", "load"))
    return f"a single row takes {row * 1000:.2f} ms, loading the model {load:.2f} s"


def beyond_fasttext(results):
    """What else was measured, a line each."""
    growth, overhead, small = results["growth"], results["overhead"], results["small"]
    sizes = ", ".join(
        f"{factor} times as many {ratio:.2f} (memory of train {growth['train_memory'][factor]:.2f})"
        for factor, ratio in growth["time_per_row"].items()
    )
    stages = ", ".join(f"{name} {figures['ratio']:.2f}" for name, figures in overhead["stages"].items())
    half = results["accuracy"]["ours_float16"]["mean"]
    ridge, diabetes = small["diabetes"]["ridge"]["mean"], small["diabetes"]["ours"]["mean"]
    return [
        f"* Saved in 16 bits (`train.saved_dtype: float16`), accuracy is {half:.4f}, and the weights take half the space.",
        (
            f"* A stage beside importing what it must and opening a run, without its own work: {stages}. "
            f"`dvc repro` with nothing to do, beside DVC on as many empty stages: {overhead['idle_repro']['ratio']:.2f}."
        ),
        (
            f"* Time per row (features and loop, the median of {len(growth['sizes'][0]['turns'])} turns), "
            f"beside {growth['sizes'][0]['rows']:,} generated rows: {sizes}."
        ),
        (
            f"* `docstrings` {small['docstrings']['ours']:.4f}, LinearSVC on the same split {small['docstrings']['linear_svc']:.4f}. "
            f"`diabetes`, mean r² over {small['diabetes']['split_seeds']} splits: {diabetes:.3f}, Ridge {ridge:.3f}."
        ),
    ]


def described(results):
    """What was measured where, in a paragraph."""
    machine = results["machine"]
    versions = ", ".join(f"{name} {number}" for name, number in machine["versions"].items())
    return (
        f"{results['rows']:,} train rows, official test rows; {machine['processor']}, {machine['cores']} cores, "
        f"{machine['threads']} threads each; Python {machine['python']}, {versions}; "
        f"ours, the fast variant and fastText by turns with the seeds 1 to {len(results['accuracy']['ours']['values'])}: medians, least and "
        "largest in brackets; ratios are medians of the turns' own."
    )


def block(results):
    """What stands in the README, with the marks around it."""
    return "\n".join(
        [
            BEGIN,
            "",
            *table(results),
            "",
            described(results),
            "",
            "![Accuracy against seconds](benchmarks/frontier.png)",
            "",
            END,
        ]
    )


def write(results, picture, readme):
    """Put the table between its marks in a README, and draw the picture."""
    text, shown = readme.read_text(encoding="utf-8"), block(results)
    readme.write_text(re.sub(f"{re.escape(BEGIN)}.*{re.escape(END)}", lambda _: shown, text, flags=re.DOTALL), "utf-8")
    draw(results, picture)


def draw(results, picture):
    """Accuracy on the test split against seconds from rows in memory to a model."""
    import matplotlib as mpl

    mpl.use("agg")
    from matplotlib import pyplot as plt
    from matplotlib.ticker import NullFormatter, ScalarFormatter

    seconds = results["seconds"]
    features = seconds["fast_features"]["median"]
    figure, axes = plt.subplots(figsize=(7, 4.2), layout="constrained")
    for curve in results["curves"]:
        axes.plot(
            [features + at for at, _ in curve], [100 * metric for _, metric in curve], color="#9ecae1", linewidth=1
        )
    points = [
        ("ours", seconds["ours_rows_to_model"]["median"], results["accuracy"]["ours"]["mean"]),
        ("fast variant", seconds["fast_rows_to_model"]["median"], results["accuracy"]["fast"]["mean"]),
        ("fastText", results["seconds"]["fasttext_train"]["median"], results["accuracy"]["fasttext"]["mean"]),
        ("LinearSVC", sum(results["others"]["linear_svc"][name] for name in ("feature_seconds", "train_seconds")), results["others"]["linear_svc"]["accuracy"]),
        ("NB-SVM", sum(results["others"]["nb_svm"][name] for name in ("feature_seconds", "train_seconds")), results["others"]["nb_svm"]["accuracy"]),
        ("the course's recipe", results["course"]["feature_seconds"] + results["course"]["loop_seconds"], results["course"]["test"]),
    ]  # fmt: skip
    left = ((-8, -4), "right")
    places = {"LinearSVC": left, "the course's recipe": left, "fast variant": ((8, -14), "left")}
    for name, at, metric in points:
        axes.plot(at, 100 * metric, "o", color="#08519c" if name in ("ours", "fast variant") else "#555555")
        where, assign_split = places.get(name, ((8, -4), "left"))
        axes.annotate(
            f"{name} {100 * metric:.2f}",
            (at, 100 * metric),
            textcoords="offset points",
            xytext=where,
            ha=assign_split,
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
    figure.savefig(picture, dpi=150)
