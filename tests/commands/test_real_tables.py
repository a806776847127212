"""`retrain add` on real tables, if TABLES_DIR names a folder with them and an INDEX.tsv."""

import csv
import os
from pathlib import Path

from retrain.data.inspection.columns import columns_of
from retrain.data.inspection.dialect import Wishes, guessed_table

import pytest

FOLDER = os.environ.get("TABLES_DIR")
SEPARATORS = {"tab": "\t"}


def index() -> dict[str, dict[str, str]]:
    """The lines of INDEX.tsv, by the name of the table."""
    if not FOLDER:
        return {}
    with (Path(FOLDER) / "INDEX.tsv").open(encoding="utf-8", newline="") as file:
        return {line["name"]: line for line in csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE)}


@pytest.mark.skipif(not FOLDER, reason="set TABLES_DIR to a folder with tables and an INDEX.tsv")
@pytest.mark.parametrize("name", index() or ["none"])
def test_guesses_fit_real_tables(name):
    line = index()[name]
    target = line["target"] if line["header"] == "yes" else ""
    with guessed_table(Path(str(FOLDER)) / f"{name}.csv", f"{name}.csv", Wishes(), target) as (table, guess):
        target = target or table.names[0 if "label first" in line["odd"] else -1]
        columns = columns_of(table, target, Wishes())
        assert len(table) == int(line["rows"])
    assert guess.has_header == (line["header"] == "yes")
    assert guess.format.separator == SEPARATORS.get(line["separator"], line["separator"])
    assert (guess.format.encoding is None) == (line["encoding"] in ("ascii", "utf-8"))
    assert len(columns) == int(line["columns"])
    assert columns[0].predict == line["kind"]
