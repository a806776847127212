"""How much longer a training takes while other programs use all cores, which they share with it.

`python benchmarks/busy.py` trains `docstrings` from rows in memory, alone and next to busy loops, and prints the medians. Run
`make repro DATASET=docstrings` first. A program that gets its share of the processor, and no less, takes as many times longer as
there are programs for each core.
"""

import os
import statistics
import subprocess
import sys
import time

from retrain import cli

import click
from bench import ROOT, child

LOOP = "while True: pass"


def seconds(others):
    """The seconds of a training next to some busy loops."""
    busy = [subprocess.Popen([sys.executable, "-c", LOOP]) for _ in range(others)]
    try:
        found = child(sys.executable, "ours.py", "train", ROOT, "docstrings", 1, 0)
    finally:
        for process in busy:
            process.kill()
            process.wait()
    return found["feature_seconds"] + found["loop_seconds"]


@click.command(help=__doc__)
@click.option("--rounds", default=5, show_default=True, type=click.IntRange(1))
@cli.one_line_errors
def main(rounds):
    """Print a table."""
    cores = len(os.sched_getaffinity(0))
    counts = (0, cores, 2 * cores)
    taken = {others: [] for others in counts}
    for _ in range(rounds):
        for others in counts:
            taken[others].append(seconds(others))
    alone = statistics.median(taken[0])
    click.echo("| busy loops | seconds, median | least | most | times as long |\n|---|---|---|---|---|")
    for others, found in taken.items():
        middle = statistics.median(found)
        click.echo(f"| {others} | {middle:.2f} | {min(found):.2f} | {max(found):.2f} | {middle / alone:.1f} |")
    click.echo(f"\n{time.strftime('%Y-%m-%d')}, {cores} cores, {rounds} rounds.")


if __name__ == "__main__":
    main()
