"""What wrong guesses of `retrain add` cost: tables with the kinds of columns that it guesses, and with those of a person.

`TABLES_DIR=folder .venv/bin/python benchmarks/guesses.py` trains both on the same splits and prints a line per table and seed.
For that, each row gets a number, by which the splits go (`--group`): otherwise other columns would mean other splits.
"""

import csv
import os
import tempfile
from pathlib import Path

from retrain import environment

import click
from tables import VARIABLE, ours, ran, set_seed, tables
from workspace import copy_of_project

BY_HAND = {
    "titanic": ["--leave-out=Name", "--leave-out=Ticket", "--categories=Pclass"],
    "auto_mpg": ["--leave-out=name", "--categories=origin"],
    "house_prices": ["--categories=MSSubClass"],
    "disaster_tweets": ["--categories=location"],
}
"""The options by which a person would prepare each table. Those of all other tables of TABLES_DIR say what `add` guesses."""
ROW = "row_number"


def numbered(source, target):
    """Copy a CSV file that is separated by commas, with the number of each row as another column."""
    with source.open(encoding="utf-8-sig", newline="") as old, target.open("w", encoding="utf-8", newline="") as new:
        header, *rows = csv.reader(old)
        csv.writer(new).writerows([[*header, ROW], *([*row, number] for number, row in enumerate(rows))])


@click.command()
@click.option("--seeds", type=click.IntRange(1), default=1, show_default=True, help="Split seeds of each table.")
def main(seeds):
    """Train each table twice, and print accuracy or r2, and the loss or the error."""
    source = Path(os.environ.get(VARIABLE, "")).resolve()
    os.chdir(environment.workspace())
    index = tables(source)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary, "workspace")
        copy_of_project(folder)
        for name, options in BY_HAND.items():
            numbered(source / f"{name}.csv", Path(temporary, f"{name}.csv"))
            for kind, own in {"guessed": [], "by_hand": options}.items():
                command = ["retrain", "add", f"{name}_{kind}", f"{temporary}/{name}.csv", f"--group={ROW}"]
                ran([*command, f"--target={index[name]['target']}", *own], folder)
            for seed in range(1, seeds + 1):
                for kind in ("guessed", "by_hand"):
                    set_seed(folder, f"{name}_{kind}", seed)
                    found = ours(folder, f"{name}_{kind}", 0.0)
                    shown = ", ".join(f"{metric} {value:.4g}" for metric, value in found.items() if metric != "seconds")
                    click.echo(f"{name}, split seed {seed}, {kind}: {shown}")


if __name__ == "__main__":
    main()
