"""Columns whose values hold several values each: objects and lists, as JSON and Parquet have them."""

import shlex

from retrain.data.dialect import MOSTLY
from retrain.data.inspection.column import shown
from retrain.data.inspection.look import FEW_CLASSES, Look
from retrain.data.sql_table import literal

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
        return (f"each object in {name} is read as one value: make a column of each key: {of_keys(column)}",)
    if numbers > MOSTLY:
        columns = f"frame.join(pandas.DataFrame(frame.pop({column.name!r}).tolist()).add_prefix({column.name + '_'!r}))"
        return (
            f"each list of numbers in {name} is read as one value: make a column of each number, as in pandas: {columns}",
        )
    if lists > MOSTLY and column.distinct > FEW_CLASSES:
        return (f"each list in {name} is read as one value: to learn from the words in it, add {option}",)
    return ()


def of_keys(column: Look) -> str:
    """A command that makes a column of each key of the objects in a column."""
    table, name = column.table, column.name
    if table.kind == "csv":
        keys = f"p.json_normalize(f.pop({name!r}).map(json.loads)).add_prefix({name + '.'!r})"
        return f"""python -c "import json, pandas as p; f = p.read_csv({table.shown!r}, dtype=str); f.join({keys}).to_csv('rows.csv', index=False)\""""
    rows = f"p.read_parquet({table.shown!r}).to_dict('records')"
    if table.kind == "json":
        opened = f"gzip.open({table.shown!r})" if table.shown.endswith(".gz") else f"open({table.shown!r})"
        rows = f"json.load({opened})" if table.is_array else f"map(json.loads, {opened})"
    made = f"p.json_normalize(list({rows})).to_json('rows.jsonl', orient='records', lines=True)"
    return f"""python -c "import gzip, json, pandas as p; {made}\""""
