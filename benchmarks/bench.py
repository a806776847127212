"""`make bench`: Retrain compared with fastText and others, on the same rows, in one run; `make bench-quick` in two minutes.

Writes results.json, the tables in docs/evidence/benchmarks.md, and frontier.png. All times are medians of alternating runs.
"""

import json
import math
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path

from retrain import cli, environment, files, params, yaml_files
from retrain.errors import RetrainError

import ag_news
import click
import everyday
import growth
import overhead
import report
import small
from workspace import ROOT, copy_of_project

HERE = Path(__file__).resolve().parent
OTHERS = HERE / ".venv" / "bin" / "python"
DATASET = "ag_news"
RECIPES = {"ours": "params.yaml", "course": "docs/recipes/ag_news_course.yaml"}
THREADS = 2
"""The threads of fastText, and the cores that each process may use: Retrain decides itself what it does in threads."""


def child(python, script, *arguments):
    """Run a script in a process of its own and return the JSON that it prints."""
    command = [str(python), str(HERE / script), *map(str, arguments)]
    ended = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    if ended.returncode:
        lines = ended.stderr.strip().splitlines() or ["it printed nothing"]
        raise RetrainError(f"{script} {arguments[0]}", f"failed ({lines[-1]})", "correct what it names")
    return json.loads(ended.stdout.strip().splitlines()[-1])


def workspace_with_rows(folder, given):
    """A copy of the project in which prepare, split and train of AG News have run, on the given files or downloaded ones."""
    copy_of_project(folder)
    yaml = yaml_files.round_trip()
    content = yaml.load((folder / params.FILE).read_text(encoding="utf-8"))
    if given is not None:
        content["datasets"][DATASET]["prepare"].update(given)
        with (folder / params.FILE).open("w", encoding="utf-8") as stream:
            yaml.dump(content, stream)
    for stage in ("prepare", "split", "train"):
        run_stage(folder, stage)


def run_stage(folder, stage):
    """Run a stage of AG News in a workspace, as DVC would, but for its output."""
    root = ROOT if stage == "prepare" else folder  # downloads are kept, runs are not
    variables = {**os.environ, "DVC_ROOT": str(root), "RETRAIN_TRACKING": "off"}
    command = [sys.executable, str(folder / "src" / f"{stage}.py"), "--dataset", DATASET]
    ended = subprocess.run(command, cwd=folder, env=variables, capture_output=True, text=True, check=False)
    if ended.returncode:
        lines = ended.stderr.strip().splitlines() or ["it printed nothing"]
        hint = f"or set {ag_news.VARIABLE} to the folder that has AG News" if stage == "prepare" else "correct that"
        raise RetrainError(stage, lines[-1].removeprefix("Error: "), hint)


def write_rows_for_others(folder, path):
    """The rows of train and test as texts and numbers of classes: title and description with a space between."""
    import pandas as pd

    rows = {}
    for name in ("train", "test"):
        table = pd.read_parquet(folder / "data" / DATASET / "splits" / f"{name}.parquet")
        *inputs, target = table.columns
        texts = [" ".join(row) for row in table[inputs].itertuples(index=False)]
        rows[name] = {"texts": texts, "labels": table[target].cat.codes.tolist()}
    path.write_text(json.dumps(rows), encoding="utf-8")


def spread(values):
    """Median, least and largest of some measurements; None for what was never reached."""
    found = {"median": statistics.median(values), "least": min(values), "largest": max(values)}
    found = {name: value if math.isfinite(value) else None for name, value in found.items()}
    return {**found, "values": [value if math.isfinite(value) else None for value in values]}


def workspace_of_recipe(folder, name, stages):
    """Follow a recipe in a copy of a workspace, and run these stages there."""
    copy = folder.with_name(name)
    shutil.copytree(folder, copy, ignore=shutil.ignore_patterns("mlflow.db", "mlruns"))
    command = [str(Path(sys.executable).with_name("retrain")), "recipe", DATASET, str(ROOT / RECIPES[name])]
    subprocess.run(command, cwd=copy, check=True, capture_output=True)
    for stage in stages:
        run_stage(copy, stage)
    return copy


def compare(folder, rows, repeats):
    """Ours and fastText by turns, a seed each: the machine's speed drifts, and so it does for both.

    Each turn trains both, trains ours once more to find the step from which it is as accurate as fastText was in that turn,
    and predicts with ours; fastText predicts right after its training. Who is first changes from turn to turn.

    Args:
        folder: the workspace.
        rows: the file for `others.py`.
        repeats: how many turns.

    Returns:
        What was measured in each turn: `fasttext`, `ours`, `reached`, `prediction`.
    """
    test = folder / "data" / DATASET / "splits" / "test.parquet"
    runs = {name: [] for name in ("fasttext", "ours", "reached", "prediction")}

    def trained(name, seed):
        if name == "fasttext":
            run = child(OTHERS, "others.py", "fasttext", rows, THREADS, seed)
            click.echo(f"fastText        {run['accuracy']:.4f}  {run['train_seconds']:.2f} s")
        else:
            run = child(sys.executable, "ours.py", "train", folder, DATASET, seed, 0)
            click.echo(f"Retrain, seed {seed} {run['test']:.4f}  {run['feature_seconds'] + run['loop_seconds']:.2f} s")
        return run

    for seed in range(1, repeats + 1):
        names = ("fasttext", "ours")
        for name in names if seed % 2 else reversed(names):
            runs[name].append(trained(name, seed))
        goal = runs["fasttext"][-1]["accuracy"]
        runs["reached"].append(child(sys.executable, "ours.py", "train", folder, DATASET, seed, goal))
        runs["prediction"].append(child(sys.executable, "ours.py", "predict", folder / "models" / DATASET, test))
    return runs


def measured(runs, name):
    """One figure of all turns."""
    return [run[name] for run in runs]


def with_mean(values):
    """The spread of some measurements, and their mean."""
    return {"mean": statistics.mean(values), **spread(values)}


def figures(runs):
    """The figures of speed and accuracy; a ratio is ours / fastText, the median of the turns'.

    Ratios of time divide by fastText's training alone; `rows_to_model_with_spacing` counts its preprocessing too. Time to
    quality counts the loop alone, as `train_loop` does; `rows_to_quality` begins with rows in memory.
    """
    theirs, ours, predictions = runs["fasttext"], runs["ours"], runs["prediction"]
    features, loop = measured(ours, "feature_seconds"), measured(ours, "loop_seconds")
    trained, spacing = measured(theirs, "train_seconds"), measured(theirs, "spacing_seconds")
    steps = measured(runs["reached"], "steps_to_goal")
    to_quality = [
        float("inf") if step is None else run["clock"][step - 1] for run, step in zip(ours, steps, strict=True)
    ]
    seconds = {
        "train_loop": loop,
        "rows_to_model": sums(features, loop),
        "time_to_quality": to_quality,
        "rows_to_quality": sums(features, to_quality),
    }
    predicted, their_predicted = measured(predictions, "rows_per_second"), measured(theirs, "predict_rows_per_second")
    ratios = {
        **{name: by_turns(taken, trained) for name, taken in seconds.items()},
        "rows_to_model_with_spacing": by_turns(seconds["rows_to_model"], sums(spacing, trained)),
        "predict_rows_per_second": by_turns(predicted, their_predicted),
    }
    model_bytes = {"ours": predictions[0]["model_bytes"], "fasttext": theirs[0]["model_bytes"]}
    return {
        "accuracy": {
            "ours": with_mean(measured(ours, "test")),
            "ours_float16": {"mean": statistics.mean(measured(ours, "test_float16"))},
            "ours_validation": {"mean": statistics.mean(measured(ours, "validation"))},
            "fasttext": with_mean(measured(theirs, "accuracy")),
        },
        "seconds": {
            "fasttext_train": spread(trained),
            "fasttext_spacing": spread(spacing),
            "fasttext_rows_to_model": spread(sums(spacing, trained)),
            "ours_rows_to_model": spread(seconds["rows_to_model"]),
            "ours_features": spread(features),
            "ours_loop": spread(loop),
            "ours_to_quality": spread(to_quality),
            "ours_rows_to_quality": spread(seconds["rows_to_quality"]),
            "ours_load": spread(measured(predictions, "load_seconds")),
            "ours_single_row": spread(measured(predictions, "single_row_seconds")),
        },
        "ratio": {
            **{name: turns["median"] for name, turns in ratios.items()},
            "model_bytes": model_bytes["ours"] / model_bytes["fasttext"],
        },
        "ratio_by_turns": ratios,
        "rows_per_second": {"ours": spread(predicted), "fasttext": spread(their_predicted)},
        "bytes": model_bytes,
    }


def sums(some, others):
    """The sum of two measurements of each turn."""
    return [one + other for one, other in zip(some, others, strict=True)]


def by_turns(values, others):
    """The spread of the ratio of two measurements of each turn."""
    return spread([value / other for value, other in zip(values, others, strict=True)])


def machine():
    """What it was measured on."""
    names = (
        [line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
        if Path("/proc/cpuinfo").exists()
        else []
    )
    return {
        "processor": names[0].split(":", 1)[1].strip() if names else platform.processor(),
        "cores": os.cpu_count(),
        "system": platform.system(),
        "python": platform.python_version(),
        "threads": THREADS,
        "versions": {name: version(name) for name in ("torch", "numpy", "pandas")},
    }


@click.command()
@click.option("--quick", is_flag=True, help="One turn, and only what compares with fastText; writes nothing.")
@cli.one_line_errors
def main(quick):
    """Compare Retrain with others on AG News: on the rows in `AG_NEWS_DIR`, or on those that prepare downloads."""
    given = ag_news.given()
    os.chdir(environment.workspace())
    if not OTHERS.exists():
        raise RetrainError(str(OTHERS), "is missing", "run this by make bench, which makes it")
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:THREADS])
    begin = time.perf_counter()
    with tempfile.TemporaryDirectory() as temporary:
        folder, rows = Path(temporary, "workspace"), Path(temporary, "rows.json")
        workspace_with_rows(folder, given)
        write_rows_for_others(folder, rows)
        runs = compare(folder, rows, 1 if quick else 5)
        results = {"machine": machine(), "recipes": RECIPES, "rows": runs["ours"][0]["train_rows"], **figures(runs)}
        if not quick:
            results["machine"]["versions"] |= child(OTHERS, "others.py", "versions", rows)
            results["others"] = {
                method: child(OTHERS, "others.py", method, rows) for method in ("linear_svc", "nb_svm")
            }
            course = workspace_of_recipe(folder, "course", ["prepare", "split"])
            trained = child(sys.executable, "ours.py", "train", course, DATASET, 1, 0)
            results["course"] = {name: value for name, value in trained.items() if name not in ("clock", "curve")}
            results["curves"] = [
                [[run["feature_seconds"] + run["clock"][step - 1], metric] for step, metric in reached["curve"]]
                for run, reached in zip(runs["ours"], runs["reached"], strict=True)
            ]
            results["growth"] = growth.measure(folder)
            results["overhead"] = overhead.measure()
            results["everyday"] = everyday.measure()
            results["small"] = small.measure()
    if not quick:
        files.write_json(HERE / "results.json", results)
        report.write(results, HERE / "frontier.png", ROOT / "docs/evidence/benchmarks.md")
    click.echo("\n".join(report.table(results)))
    click.echo(f"measured in {time.perf_counter() - begin:.0f} s")


if __name__ == "__main__":
    main()
