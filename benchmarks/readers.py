"""Which library reads tables of other people without being told how they are written: DuckDB, pyarrow or polars.

`TABLES_DIR=folder benchmarks/.venv-tables/bin/python benchmarks/readers.py` reads each table of INDEX.tsv as it is, and with
a damaged row in the middle (a value too many), and prints how many have the right number of columns and rows, and how many
of the damaged ones are an error.
"""

import csv
import os
import tempfile
import time
from pathlib import Path

import duckdb
import polars as pl
from pyarrow import csv as arrow


def by_duckdb(path):
    """Columns and rows by DuckDB, with all values as text."""
    with duckdb.connect() as connection:
        table = connection.read_csv(str(path), all_varchar=True).fetchall()
        return len(table[0]), len(table)


def by_pyarrow(path):
    """Columns and rows by pyarrow."""
    table = arrow.read_csv(path)
    return table.num_columns, table.num_rows


def by_polars(path):
    """Columns and rows by polars."""
    table = pl.read_csv(path)
    return table.width, table.height


def damaged(source, target):
    """Write a table with a value too many in the middle row."""
    lines = source.read_bytes().split(b"\n")
    middle = len(lines) // 2
    sign = max((b",", b";", b"\t"), key=lines[middle].count)
    lines[middle] = lines[middle].rstrip(b"\r") + sign + b"x"
    target.write_bytes(b"\n".join(lines))


def outcome(read, path):
    """Columns and rows, or None for an error."""
    try:
        return read(path)
    except Exception:  # noqa: BLE001 (each library has its own)
        return None


def main():
    """Print a line per library."""
    source = Path(os.environ["TABLES_DIR"])
    with (source / "INDEX.tsv").open(encoding="utf-8", newline="") as file:
        index = list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))
    print("library   right columns  right rows  damaged: error  seconds")
    for name, read in {"duckdb": by_duckdb, "pyarrow": by_pyarrow, "polars": by_polars}.items():
        begin, columns, rows, errors = time.perf_counter(), 0, 0, 0
        for line in index:
            path = source / f"{line['name']}.csv"
            found = outcome(read, path)
            columns += found is not None and found[0] == int(line["columns"])
            rows += found is not None and found[0] == int(line["columns"]) and found[1] == int(line["rows"])
            with tempfile.TemporaryDirectory() as folder:
                damaged(path, Path(folder) / "damaged.csv")
                errors += outcome(read, Path(folder) / "damaged.csv") is None
        seconds = time.perf_counter() - begin
        print(
            f"{name:9} {columns:>10} / {len(index)} {rows:>5} / {len(index)} {errors:>9} / {len(index)} {seconds:>8.1f}"
        )


if __name__ == "__main__":
    main()
