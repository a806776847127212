"""A skewed number and categories that programs spell differently, in two files with the same rows."""

import json
from pathlib import Path
from typing import Any

from support.homes import mixed_block

import pandas as pd

ROW = {"fare": 7.25, "vip": True, "level": 3, "zip": "01067", "tags": ["new", "red"]}
"""A row without its target."""
FORMATS = {"csv": {"decimal": ",", "missing": ["-999"]}, "jsonl": {}}


def write_shops(folder: Path) -> dict[str, Any]:
    """Write the raw files of `shop_csv`, as pandas does with decimal commas, and `shop_jsonl`; their blocks."""
    blocks = {}
    for ending, written in FORMATS.items():
        file = Path("data/raw", f"shop_{ending}", f"rows.{ending}")
        (folder / file).parent.mkdir()
        write_shop(folder / file, shop_rows(".0" if ending == "csv" else ""))
        blocks[f"shop_{ending}"] = block = mixed_block("regression")
        block["prepare"] |= {
            "train": {"location": str(file), "sha256": "unpinned"}, "format": written, "columns": [*ROW, "y"],
            "numbers": ["fare", "y"], "categories": ["vip", "level", "zip", "tags"], "dates": [], "inputs": [*ROW],
        }  # fmt: skip
    return blocks


def shop_rows(zeros: str) -> list[dict[str, Any]]:
    """Fares from 6 to 8, a few of 400, levels from 3 to 5 with these zeros, and a target that depends on each column."""
    rows = []
    for n in range(120):
        zip_code, tags = n // 3 % 2, n // 2 % 2
        fare, vip, level = (400.0 if n % 20 == 0 else 6 + n % 9 / 4), n % 2 == 0, 3 + n % 3
        row = {
            "fare": fare,
            "vip": vip,
            "level": f"{level}{zeros}",
            "zip": ["01067", "04109"][zip_code],
            "tags": [["new", "red"], []][tags],
        }
        rows.append(row | {"y": fare / 100 + 3 * vip - 2 * level + 4 * zip_code + 2 * tags})
    return rows


def write_shop(path: Path, rows: list[dict[str, Any]], decimal: str = ",") -> None:
    """Write rows as JSON lines; or by pandas as Parquet, or as CSV with semicolons. Only JSON has lists: elsewhere they are its text."""
    if path.suffix == ".jsonl":
        path.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
        return
    table = pd.DataFrame([row | {"tags": json.dumps(row["tags"], separators=(",", ":"))} for row in rows])
    if path.suffix == ".parquet":
        table.to_parquet(path)
    else:
        table.to_csv(path, sep=";", decimal=decimal, index=False)
