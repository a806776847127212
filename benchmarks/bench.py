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
RECIPES = {
    "ours": "params.yaml",
    "fast": "docs/recipes/ag_news_fast.yaml",
    "course": "docs/recipes/ag_news_course.yaml",
}
THREADS = 2


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


def compare(folders, rows, repeats):
    """Ours as committed, its fast variant and fastText by turns, a seed each: the machine's speed drifts, and so it does for all.

    Each turn trains all three, once more the fast variant until it is as accurate as fastText was in that turn, and predicts
    with both of ours; fastText predicts right after its training. Who is first changes from turn to turn.

    Args:
        folders: the workspaces of `ours` and `fast`.
        rows: the file for `others.py`.
        repeats: how many turns.

    Returns:
        What was measured in each turn: `fasttext`, `ours`, `fast`, `reached`, `ours_prediction`, `fast_prediction`.
    """
    test = folders["ours"] / "data" / DATASET / "splits" / "test.parquet"
    runs = {name: [] for name in ("fasttext", "ours", "fast", "reached", "ours_prediction", "fast_prediction")}

    def trained(name, seed):
        if name == "fasttext":
            run = child(OTHERS, "others.py", "fasttext", rows, THREADS, seed)
            click.echo(f"fastText        {run['accuracy']:.4f}  {run['train_seconds']:.2f} s")
        else:
            run = child(sys.executable, "ours.py", "train", folders[name], DATASET, seed, THREADS, 0)
            click.echo(f"{name}, seed {seed}    {run['test']:.4f}  {run['loop_seconds']:.2f} s in the loop")
        return run

    for seed in range(1, repeats + 1):
        names = ("fasttext", "fast", "ours")
        for name in names if seed % 2 else reversed(names):
            runs[name].append(trained(name, seed))
        goal = runs["fasttext"][-1]["accuracy"]
        runs["reached"].append(child(sys.executable, "ours.py", "train", folders["fast"], DATASET, seed, THREADS, goal))
        for name, folder in folders.items():
            predicted = child(sys.executable, "ours.py", "predict", folder / "models" / DATASET, test)
            runs[f"{name}_prediction"].append(predicted)
    return runs


def measured(runs, name):
    """One figure of all turns."""
    return [run[name] for run in runs]


def with_mean(values):
    """The spread of some measurements, and their mean."""
    return {"mean": statistics.mean(values), **spread(values)}


def figures(runs):
    """The figures of speed and accuracy; a ratio is ours / fastText, the median of the turns'.

    `train_loop`, `rows_to_model`, `time_to_quality` and `rows_to_quality` are those of the fast variant, as are names that
    begin with `fast`; all others are those of the committed recipe. Time to quality counts the loop alone, as that of the
    loop does; `rows_to_quality` begins with rows in memory.
    """
    theirs, ours, fast = runs["fasttext"], runs["ours"], runs["fast"]
    predictions = {name: runs[f"{name}_prediction"] for name in ("ours", "fast")}
    trained = measured(theirs, "train_seconds")
    to_quality = [run["seconds_to_goal"] or float("inf") for run in runs["reached"]]
    rows_to_quality = [run["feature_seconds"] + taken for run, taken in zip(runs["reached"], to_quality, strict=True)]

    def by_turns(values, others):
        return spread([value / other for value, other in zip(values, others, strict=True)])

    def predicted_by_turns(name):
        return by_turns(measured(predictions[name], "rows_per_second"), measured(theirs, "predict_rows_per_second"))

    def to_model(turns):
        return [run["feature_seconds"] + run["loop_seconds"] for run in turns]

    def seconds_of(name):
        turns, predicted = runs[name], predictions[name]
        return {
            f"{name}_rows_to_model": spread(to_model(turns)),
            f"{name}_features": spread(measured(turns, "feature_seconds")),
            f"{name}_loop": spread(measured(turns, "loop_seconds")),
            f"{name}_load": spread(measured(predicted, "load_seconds")),
            f"{name}_single_row": spread(measured(predicted, "single_row_seconds")),
        }

    ratios = {
        "train_loop": by_turns(measured(fast, "loop_seconds"), trained),
        "rows_to_model": by_turns(to_model(fast), trained),
        "time_to_quality": by_turns(to_quality, trained),
        "rows_to_quality": by_turns(rows_to_quality, trained),
        "ours_train_loop": by_turns(measured(ours, "loop_seconds"), trained),
        "ours_rows_to_model": by_turns(to_model(ours), trained),
        "predict_rows_per_second": predicted_by_turns("ours"),
        "fast_predict_rows_per_second": predicted_by_turns("fast"),
    }
    bytes_of = {name: predictions[name][0]["model_bytes"] for name in predictions}
    return {
        "accuracy": {
            "ours": with_mean(measured(ours, "test")),
            "ours_float16": {"mean": statistics.mean(measured(ours, "test_float16"))},
            "ours_validation": {"mean": statistics.mean(measured(ours, "validation"))},
            "fast": with_mean(measured(fast, "test")),
            "fast_validation": {"mean": statistics.mean(measured(fast, "validation"))},
            "fasttext": with_mean(measured(theirs, "accuracy")),
        },
        "seconds": {
            "fasttext_train": spread(trained),
            "fasttext_spacing": spread(measured(theirs, "spacing_seconds")),
            "fast_to_quality": spread(to_quality),
            "fast_rows_to_quality": spread(rows_to_quality),
            **seconds_of("ours"),
            **seconds_of("fast"),
        },
        "ratio": {
            **{name: turns["median"] for name, turns in ratios.items()},
            "model_bytes": bytes_of["ours"] / theirs[0]["model_bytes"],
            "fast_model_bytes": bytes_of["fast"] / theirs[0]["model_bytes"],
        },
        "ratio_by_turns": ratios,
        "rows_per_second": {
            "ours": spread(measured(predictions["ours"], "rows_per_second")),
            "fast": spread(measured(predictions["fast"], "rows_per_second")),
            "fasttext": spread(measured(theirs, "predict_rows_per_second")),
        },
        "bytes": {**bytes_of, "fasttext": theirs[0]["model_bytes"]},
    }


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
    begin = time.perf_counter()
    with tempfile.TemporaryDirectory() as temporary:
        folder, rows = Path(temporary, "workspace"), Path(temporary, "rows.json")
        workspace_with_rows(folder, given)
        write_rows_for_others(folder, rows)
        fast = workspace_of_recipe(folder, "fast", ["split", "train"])
        runs = compare({"ours": folder, "fast": fast}, rows, 1 if quick else 5)
        results = {"machine": machine(), "recipes": RECIPES, "rows": runs["ours"][0]["train_rows"], **figures(runs)}
        if not quick:
            results["machine"]["versions"] |= child(OTHERS, "others.py", "versions", rows)
            results["others"] = {
                method: child(OTHERS, "others.py", method, rows) for method in ("linear_svc", "nb_svm")
            }
            course = workspace_of_recipe(folder, "course", ["prepare", "split"])
            results["course"] = child(sys.executable, "ours.py", "train", course, DATASET, 1, 1, 0)
            results["curves"] = [run["curve"] for run in runs["reached"]]
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
