"""`make bench-tables`: real tables from file to report with no option but the target, next to scikit-learn and LightGBM.

`TABLES_DIR` is a folder with the tables, `NAME.csv`, and INDEX.tsv: one line per table with its name, target, kind (`label` or
`number`) and header (`yes` or `no`). Without a header the target is the last column, or the first where the column `odd` says
`label first`. All methods get the train and test rows of the split stage, with the kinds of columns that `retrain add` guessed.
Writes tables.json and tables.md.
"""

import csv
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from retrain import cli, environment, files, params, yaml_files
from retrain.errors import RetrainError

import click
from workspace import copy_of_project

HERE = Path(__file__).resolve().parent
VARIABLE = "TABLES_DIR"
METHODS = {"retrain": "Retrain", "linear": "linear", "boosting": "HistGradientBoosting", "lightgbm": "LightGBM"}
BETTER = {"accuracy": max, "macro_f1": max, "log_loss": min, "r2": max, "rmse": min}
"""The metrics, and which value of several is best."""
COLUMNS = {"accuracy / r²": ("accuracy", "r2"), "macro F1 / RMSE": ("macro_f1", "rmse"), "log loss": ("log_loss",)}
"""The columns of the report: the metric of a label, that of a number."""


def tables(folder):
    """The lines of INDEX.tsv, by name."""
    index = folder / "INDEX.tsv"
    if not index.exists():
        raise RetrainError(VARIABLE, f"names no folder with an INDEX.tsv ({folder})", f"set {VARIABLE} to one")
    with index.open(encoding="utf-8", newline="") as stream:
        return {line["name"]: line for line in csv.DictReader(stream, delimiter="\t", quoting=csv.QUOTE_NONE)}


def target_of(line):
    """The target as `retrain add` takes it: a name, or a number where the table has no header."""
    if line["header"] == "yes":
        return line["target"]
    return "1" if "label first" in (line.get("odd") or "") else "-1"


def ran(command, folder):
    """Run a command in a folder, and return its seconds."""
    begin = time.perf_counter()
    variables = {name: value for name, value in os.environ.items() if name != "DVC_ROOT"}
    ended = subprocess.run(command, cwd=folder, env=variables, capture_output=True, text=True, check=False)
    if ended.returncode:
        lines = [line for line in ended.stderr.splitlines() if line.startswith(("Error", "ERROR"))]
        raise RetrainError(" ".join(command[:3]), (lines or ["failed"])[0].removeprefix("Error: "), "correct that")
    return time.perf_counter() - begin


def set_seed(folder, name, seed):
    """Choose the rows of the splits of a dataset."""
    yaml = yaml_files.round_trip()
    content = yaml.load((folder / params.FILE).read_text(encoding="utf-8"))
    content["datasets"][name]["split"]["seed"] = seed
    with (folder / params.FILE).open("w", encoding="utf-8") as stream:
        yaml.dump(content, stream)


def ours(folder, name, seconds):
    """Run the pipeline of a dataset, and return its metrics and seconds; those of `retrain add` are given."""
    seconds += ran(["dvc", "repro", f"plot@{name}"], folder)
    test = json.loads((folder / "reports" / name / "metrics.json").read_text(encoding="utf-8"))["test"]
    kept = {metric: value for metric, value in test.items() if metric in BETTER}
    return {**kept, **({"log_loss": test["loss"]} if "accuracy" in test else {}), "seconds": seconds}


def others(folder, name):
    """The metrics of all other methods on the same rows."""
    own = HERE / ".venv-tables" / "bin" / "python"
    script = [str(own if own.exists() else sys.executable), str(HERE / "tables_others.py")]
    command = [*script, str(folder / "data" / name / "splits")]
    threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "2")
    ended = subprocess.run(command, env={**os.environ, **threads}, capture_output=True, text=True, check=False)
    if ended.returncode:
        raise RetrainError(
            f"tables_others.py {name}", f"failed ({ended.stderr.strip().splitlines()[-1]})", "correct that"
        )
    return json.loads(ended.stdout)


def measured(folder, source, line, seeds):
    """All metrics of a table: method, metric, one value per seed."""
    name = line["name"]
    added = ran(["retrain", "add", name, str(source / f"{name}.csv"), f"--target={target_of(line)}"], folder)
    found = {}
    for seed in range(1, seeds + 1):
        set_seed(folder, name, seed)
        turn = {"retrain": ours(folder, name, added), **others(folder, name)}
        for method, metrics in turn.items():
            for metric, value in metrics.items():
                found.setdefault(method, {}).setdefault(metric, []).append(value)
        scores = ", ".join(
            f"{method} {metrics.get('accuracy', metrics.get('r2')):.4f}" for method, metrics in turn.items()
        )
        click.echo(f"{name}, split seed {seed}: {scores}; {turn['retrain']['seconds']:.0f} s")
    texts = json.loads((folder / "data" / name / "examples" / "encoding.json").read_text(encoding="utf-8"))
    return {"texts": "text" in texts["encoder"]["learned"].get("kinds", ["text"]), "seeds": seeds, "methods": found}


def mean_of(table, method, metric):
    """The mean over the seeds; None where a method has no such metric."""
    values = table["methods"].get(method, {}).get(metric)
    return None if values is None else statistics.mean(values)


def ranks(table, metric):
    """The rank of each method in a table; equal values share the mean of their ranks."""
    means = {method: mean_of(table, method, metric) for method in METHODS}
    known = {method: round(mean, 6) for method, mean in means.items() if mean is not None}
    order = sorted(known.values(), reverse=BETTER[metric] is max)
    places = {value: [place for place, other in enumerate(order, 1) if other == value] for value in order}
    return {method: statistics.mean(places[value]) for method, value in known.items()}


def mean_ranks(results):
    """The mean rank of each method in each column of the report, over the tables where it has the metric."""
    found = {}
    for title, metrics in COLUMNS.items():
        listed = [
            ranks(table, metric)
            for table in results.values()
            for metric in metrics
            if mean_of(table, "retrain", metric) is not None
        ]
        found[title] = {
            method: statistics.mean(rank[method] for rank in listed if method in rank)
            for method in METHODS
            if any(method in rank for rank in listed)
        }
    return found


def report(results):
    """The results in Markdown."""
    groups = {
        "all tables": results,
        "tables without text": {name: one for name, one in results.items() if not one["texts"]},
    }
    lines = ["| mean rank | tables | " + " | ".join(METHODS.values()) + " |", "|---|---|" + "---|" * len(METHODS)]
    for group, chosen in groups.items():
        for title, means in mean_ranks(chosen).items():
            cells = [f"{means[method]:.2f}" if method in means else "" for method in METHODS]
            lines.append(f"| {title}, {group} | {len(chosen)} | " + " | ".join(cells) + " |")
    for title, metrics in COLUMNS.items():
        lines += [
            "",
            f"| {title} | splits | " + " | ".join(METHODS.values()) + " | seconds |",
            "|---|---|" + "---|" * (len(METHODS) + 1),
        ]
        for name, table in results.items():
            metric = next((one for one in metrics if mean_of(table, "retrain", one) is not None), None)
            if metric is None:
                continue
            values = [mean_of(table, method, metric) for method in METHODS]
            best = BETTER[metric](value for value in values if value is not None)
            cells = [
                "" if value is None else f"**{value:.4g}**" if value == best else f"{value:.4g}" for value in values
            ]
            seconds = max(table["methods"]["retrain"]["seconds"])
            lines.append(f"| {name} | {table['seeds']} | " + " | ".join(cells) + f" | {seconds:.0f} |")
    return "\n".join([*lines, ""])


@click.command()
@click.option("--seeds", type=click.IntRange(1), default=5, show_default=True, help="Split seeds of each table.")
@click.option("--table", "chosen", multiple=True, help="A table of INDEX.tsv. Can be repeated; without it, all.")
@click.option("--into", type=click.Path(path_type=Path), default=HERE, help="The folder for tables.json and tables.md.")
@cli.one_line_errors
def main(seeds, chosen, into):
    """Take every table of `TABLES_DIR` from its file to a report, and compare it with others on the same rows."""
    source = Path(os.environ.get(VARIABLE, "")).resolve()
    os.chdir(environment.workspace())
    index = tables(source)
    if unknown := [name for name in chosen if name not in index]:
        raise RetrainError("--table", f"INDEX.tsv has no '{unknown[0]}'", f"choose from: {', '.join(index)}")
    results = {}
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary, "workspace")
        copy_of_project(folder)
        for name in chosen or index:
            try:
                results[name] = measured(folder, source, index[name], seeds)
            except RetrainError as error:
                click.echo(f"{name}: left out: {error}", err=True)
                continue
            files.write_json(into / "tables.json", {"tables": results, "mean_ranks": mean_ranks(results)})
            (into / "tables.md").write_text(report(results), encoding="utf-8")
    click.echo(report(results))


if __name__ == "__main__":
    main()
