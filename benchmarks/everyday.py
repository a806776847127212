"""The everyday round: one parameter of `diabetes` changes, and `dvc repro` runs. Compared with plain.py, by turns.

`python benchmarks/everyday.py` measures it and writes results.json; so does `make bench`. Each round has a learning rate
that was never used before, so nothing comes from a cache. It starts without a recorder process: with the next change of a
parameter, the one of the round before would have ended long ago.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from retrain import cli, files, params, yaml_files

import click
import report
from filelock import FileLock
from workspace import ROOT, copy_of_project

HERE = Path(__file__).resolve().parent
RESULTS = HERE / "results.json"
PAIRS = 5
RECORDER_SECONDS = 60
"""A recorder that has nothing to do ends sooner."""


def timed(command, folder, variables):
    """Run a command; the seconds that it took."""
    started = time.perf_counter()
    subprocess.run(command, cwd=folder, env=variables, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - started


def change_learning_rate(folder, value):
    """Write another learning rate into params.yaml."""
    yaml = yaml_files.round_trip()
    content = yaml.load((folder / params.FILE).read_text(encoding="utf-8"))
    content["datasets"]["diabetes"]["train"]["loop"]["learning_rate"] = value
    with (folder / params.FILE).open("w", encoding="utf-8") as file:
        yaml.dump(content, file)


def wait_for_recorder(folder):
    """Wait until the project's recorder has ended."""
    for lock in folder.glob(".retrain/recorder/*/lock"):
        with FileLock(lock, timeout=RECORDER_SECONDS):
            pass


def measure(pairs=PAIRS):
    """Seconds of both, in alternating order, and the ratio of each pair: the machine's speed drifts."""
    foreign = ("DVC_", "MLFLOW_", "RETRAIN_", "PYTHONPATH")
    variables = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    variables |= {"PATH": path, "MLFLOW_DISABLE_TELEMETRY": "true"}
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as temporary:
        project, output = Path(temporary, "project"), Path(temporary, "plain")
        copy_of_project(project)
        output.mkdir()
        dvc = ["dvc", "repro", "-q", "plot@diabetes"]
        timed(dvc, project, variables)  # prepare and split; from here on, only three stages run

        def repro(learning_rate):
            change_learning_rate(project, learning_rate)
            wait_for_recorder(project)
            return timed(dvc, project, variables)

        def plain(learning_rate):
            wait_for_recorder(project)
            return timed([sys.executable, HERE / "plain.py", project, output, str(learning_rate)], HERE, variables)

        taken = {"repro": [], "plain": []}
        for number in range(pairs + 1):
            learning_rate = round(0.1 + 0.0001 * (number + 1), 4)
            for name, run in [("repro", repro), ("plain", plain)][:: 1 if number % 2 else -1]:
                taken[name].append(run(learning_rate))
            click.echo(f"repro {taken['repro'][-1]:.1f} s, plain {taken['plain'][-1]:.1f} s", err=True)
        wait_for_recorder(project)
    repro, plain = (values[1:] for values in taken.values())  # the first pair warms up
    ratios = [one / other for one, other in zip(repro, plain, strict=True)]
    return {
        "repro_seconds": {"median": statistics.median(repro), "least": min(repro), "largest": max(repro)},
        "plain_seconds": {"median": statistics.median(plain), "least": min(plain), "largest": max(plain)},
        "ratio": statistics.median(ratios),
        "ratio_by_pairs": ratios,
    }


@click.command()
@click.option("--pairs", type=click.IntRange(min=1), default=PAIRS, show_default=True, help="How often both are timed.")
@click.option("--dry", is_flag=True, help="Write nothing.")
@cli.one_line_errors
def main(pairs, dry):
    """Measure, print, and write the result to results.json and docs/evidence/benchmarks.md."""
    found = measure(pairs)
    if not dry:
        results = json.loads(RESULTS.read_text(encoding="utf-8"))
        results["everyday"] = found
        files.write_json(RESULTS, results)
        report.write(results, HERE / "frontier.png", ROOT / "docs/evidence/benchmarks.md")
    for name in ("repro", "plain"):
        seconds = found[f"{name}_seconds"]
        click.echo(f"{name}: {seconds['median']:.1f} s ({seconds['least']:.1f} to {seconds['largest']:.1f})")
    click.echo(f"repro / plain: {found['ratio']:.2f} (median of {pairs} pairs)")


if __name__ == "__main__":
    main()
