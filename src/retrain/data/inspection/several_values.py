"""Columns whose values hold several values each: objects and lists, as JSON and Parquet have them."""

import json
import shlex

from retrain.data.dialect import MOSTLY
from retrain.data.inspection.column import shown
from retrain.data.inspection.look import FEW_CLASSES, Look
from retrain.data.sql_table import literal
from retrain.data.text_files import with_command

__all__ = ["several_values"]


OBJECT, LIST = r"(?s)\{.*:.*\}", r"(?s)\[.*,.*\]"
NUMBERS = r"(?s)\[[-+\d.,eE\s]*,[-+\d.,eE\s]*\]"


def several_values(column: Look) -> tuple[str, ...]:
    """What to say about a column of objects or lists, each of which is read as one value."""
    if not column.ask("bool_or(v[1] = '{' or v[1] = '[')", column.sample)[0]:
        return ()
    likes = ", ".join(f"avg(regexp_full_match(v, {literal(like)})::int)" for like in (OBJECT, LIST, NUMBERS))
    objects, lists, numbers = column.ask(likes, column.sample)
    name, option = shown(column.name), f"--text {shlex.quote(column.name)}"
    if objects > MOSTLY:
        return (f"each object in {name} is read as one value: {of_keys(column)}",)
    if numbers > MOSTLY:
        columns = f"frame.join(pandas.DataFrame(frame.pop({column.name!r}).tolist()).add_prefix({column.name + '_'!r}))"
        return (
            f"each list of numbers in {name} is read as one value: make a column of each number, as in pandas: {columns}",
        )
    if lists > MOSTLY and column.distinct > FEW_CLASSES:
        return (f"each list in {name} is read as one value: to learn from the words in it, add {option}",)
    return ()


def of_keys(column: Look) -> str:
    """What to do about a column of objects."""
    table, name = column.table, json.dumps(column.name, ensure_ascii=False)
    if table.kind == "csv":
        keys = f'p.json_normalize(f.pop({name}).map(json.loads)).add_prefix({name} + ".")'
        made = f"f = p.read_csv(sys.argv[1], dtype=str); print(end=f.join({keys}).to_csv(index=False))"
    else:
        rows = "json.load(open(sys.argv[1]))" if table.is_array else "map(json.loads, open(sys.argv[1]))"
        rows = 'p.read_parquet(sys.argv[1]).to_dict("records")' if table.kind == "parquet" else rows
        made = f'print(end=p.json_normalize(list({rows})).to_json(orient="records", lines=True, force_ascii=False))'
    program = f"python -X utf8 -c {shlex.quote(f'import json, sys, pandas as p; {made}')}"
    return with_command("make a column of each key", program, table.source, ".csv" if table.kind == "csv" else ".jsonl")
