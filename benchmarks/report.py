"""What `make bench` found, for people: a table and a picture."""

import math
import re

BEGIN, END = "<!-- benchmarks: written by make bench -->", "<!-- end of benchmarks -->"


def table(results):
    """The figures as lines of Markdown."""
    accuracy, seconds, speed, size = (results[name] for name in ("accuracy", "seconds", "rows_per_second", "bytes"))
    ratio, theirs = results["ratio"], seconds["fasttext_train"]["median"]
    reached = seconds["fast_to_fasttext_accuracy"]["median"]

    def to_model(name):
        return seconds[f"{name}_features"]["median"] + seconds[f"{name}_loop"]["median"]

    rows = [
        ("test accuracy", *(f"{accuracy[name]['mean']:.4f}" for name in ("ours", "fast", "fasttext")), "", ""),
        (
            "training loop",
            *(f"{seconds[name]['median']:.2f} s" for name in ("ours_loop", "fast_loop", "fasttext_train")),
            f"{ratio['accurate_train_loop']:.2f}",
            f"{ratio['train_loop']:.2f}",
        ),
        (
            "rows in memory to a trained model",
            *(f"{taken:.2f} s" for taken in (to_model("ours"), to_model("fast"), theirs)),
            f"{ratio['accurate_rows_to_model']:.2f}",
            f"{ratio['rows_to_model']:.2f}",
        ),
        (
            "time to fastText's accuracy",
            "",
            "never" if reached is None else f"{reached:.2f} s",
            f"{theirs:.2f} s",
            "",
            "" if reached is None else f"{ratio['time_to_quality']:.2f}",
        ),
        (
            "rows predicted per second, one thread",
            *(f"{speed[name]['median']:,.0f}" for name in ("ours", "fast", "fasttext")),
            f"{ratio['predict_rows_per_second']:.2f}",
            f"{ratio['fast_predict_rows_per_second']:.2f}",
        ),
        (
            "size of the model",
            *(f"{size[name] / 1e6:.1f} MB" for name in ("ours", "fast", "fasttext")),
            f"{ratio['model_bytes']:.3f}",
            f"{ratio['fast_model_bytes']:.3f}",
        ),
    ]
    lines = ["| | ours | fast variant | fastText | ours / fastText | fast / fastText |", "|---|---|---|---|---|---|"]
    lines += [f"| {' | '.join(row)} |" for row in rows]
    lines += ["", f"Of ours, {single_rows(seconds, 'ours')}; of the fast variant, {single_rows(seconds, 'fast')}."]
    if "others" in results:
        named = {"linear_svc": "TF-IDF and LinearSVC", "nb_svm": "NB-SVM"}
        found = [
            f"{named[name]} {other['accuracy']:.4f} in {other['feature_seconds'] + other['train_seconds']:.1f} s"
            for name, other in results["others"].items()
        ]
        course = results["course"]
        found.append(
            f"the course's recipe {course['test']:.4f} in {course['feature_seconds'] + course['loop_seconds']:.1f} s"
        )
        lines += ["", f"The same rows elsewhere: {'; '.join(found)}.", "", *beyond_fasttext(results)]
    return lines


def single_rows(seconds, name):
    """How long a single row takes, and loading the model."""
    row, load = (seconds[f"{name}_{what}"]["median"] for what in ("single_row", "load"))
    return f"a single row takes {row * 1000:.2f} ms, loading the model {load:.2f} s"


def beyond_fasttext(results):
    """What else was measured, a line each."""
    growth, overhead, small = results["growth"], results["overhead"], results["small"]
    stages = ", ".join(f"{name} {figures['ratio']:.2f}" for name, figures in overhead["stages"].items())
    sizes = ", ".join(
        f"{factor} times as many {ratio:.2f} (memory of train {growth['train_memory'][factor]:.2f})"
        for factor, ratio in growth["time_per_row"].items()
    )
    half = results["accuracy"]["ours_float16"]["mean"]
    ridge, diabetes = small["diabetes"]["ridge"]["mean"], small["diabetes"]["ours"]["mean"]
    return [
        f"* Saved in 16 bits (`train.saved_dtype: float16`), accuracy is {half:.4f}, and the weights take half the space.",
        (
            f"* A stage beside importing what it must and opening a run, without its own work: {stages}. "
            f"`dvc repro` with nothing to do, beside DVC on ten empty stages: {overhead['idle_repro']['ratio']:.2f}."
        ),
        f"* Time per row of the fast variant (features and loop), beside {growth['sizes'][0]['rows']:,} generated rows: {sizes}.",
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
        f"medians of {len(results['accuracy']['ours']['values'])} runs by turns, a seed each; ratios are medians of the turns' own."
    )


def write(results, picture, readme):
    """Put the table between its marks in a README, and draw the picture."""
    text = readme.read_text(encoding="utf-8")
    block = "\n".join(
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
    readme.write_text(
        re.sub(re.escape(BEGIN) + ".*" + re.escape(END), lambda _: block, text, flags=re.DOTALL), encoding="utf-8"
    )
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
        ("ours", seconds["ours_features"]["median"] + seconds["ours_loop"]["median"], results["accuracy"]["ours"]["mean"]),
        ("fast variant", features + seconds["fast_loop"]["median"], results["accuracy"]["fast"]["mean"]),
        ("fastText", results["seconds"]["fasttext_train"]["median"], results["accuracy"]["fasttext"]["mean"]),
        ("LinearSVC", sum(results["others"]["linear_svc"][name] for name in ("feature_seconds", "train_seconds")), results["others"]["linear_svc"]["accuracy"]),
        ("NB-SVM", sum(results["others"]["nb_svm"][name] for name in ("feature_seconds", "train_seconds")), results["others"]["nb_svm"]["accuracy"]),
        ("the course's recipe", results["course"]["feature_seconds"] + results["course"]["loop_seconds"], results["course"]["test"]),
    ]  # fmt: skip
    left = ((-8, -4), "right")
    places = {"LinearSVC": left, "the course's recipe": left, "fast variant": ((8, -14), "left")}
    for name, at, metric in points:
        axes.plot(at, 100 * metric, "o", color="#08519c" if name in ("ours", "fast variant") else "#555555")
        place, side = places.get(name, ((8, -4), "left"))
        axes.annotate(
            f"{name} {100 * metric:.2f}",
            (at, 100 * metric),
            textcoords="offset points",
            xytext=place,
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
    figure.savefig(picture, dpi=150)
