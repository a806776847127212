"""Columns whose values hold several values each: objects and lists, as JSON and Parquet have them."""

import json
import re
import shlex
from collections.abc import Collection

from retrain.data.inspection.column import shown
from retrain.data.inspection.dialect import MOSTLY
from retrain.data.inspection.look import FEW_CLASSES, Look
from retrain.data.reading.expressions import literal
from retrain.data.reading.text_files import with_command

__all__ = ["joined", "several_choices", "several_values"]


OBJECT, LIST = r"(?s)\{.*:.*\}", r"(?s)\[.*,.*\]"
NUMBERS = r"(?s)\[[-+\d.,eE\s]*,[-+\d.,eE\s]*\]"
CHOICES = (";", "|")
"""The signs that survey programs write between the choices of one answer."""


def several_values(column: Look) -> tuple[str, ...]:
    """What to say about a column of objects or lists, each of which is read as one value."""
    if not column.fact("bool_or(v[1] = '{' or v[1] = '[')", column.sample)[0]:
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


def several_choices(column: Look) -> tuple[str, ...]:
    """What to say about categories that seem to be several choices, such as 'a;b' and 'b;c'."""
    signs = "".join((*CHOICES, ","))
    if not column.fact(f"bool_or(regexp_matches(v, '[{signs}]'))", column.sample)[0]:
        return ()
    names = [name for (name,) in column.select("distinct v", "order by 1", column.sample)]
    first = next(filter(None, (joined(names, sign) for sign in (*CHOICES, ", ", ","))), "")
    fact = (
        f"values in {shown(column.name)} such as {shown(first)} seem to be several choices, but count as one category"
    )
    return (f"{fact}: to learn from the words in it, add --text {shlex.quote(column.name)}",) if first else ()


def joined(names: Collection[str], sign: str) -> str:
    """A name of several words with signs between them, if most words change their place, as in 'a, b' and 'b, c'; else nothing."""
    places: dict[str, set[int]] = {}
    for name in names:
        for place, part in enumerate(name.split(sign)):
            places.setdefault(part.strip(), set()).add(place)
    # Digits with another sign between them are fractions, dates or amounts, and equally many digits are genotypes or places.
    counts = {count for name in names if (count := name.count(sign))}
    may_be_digits = sign == ", " or (sign in CHOICES and len(counts) > 1)
    words = [found for part, found in places.items() if may_be_digits or re.search(r"[^\W\d_]", part)]
    moving = sum(len(found) > 1 for found in words)
    return max(names, key=lambda name: name.count(sign)) if moving > len(places) / 2 else ""


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
