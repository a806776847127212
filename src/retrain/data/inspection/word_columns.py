"""Columns of words: texts, categories and identifiers."""

import re
import shlex
from collections.abc import Iterable

from retrain import schema
from retrain.data.inspection.column import Column, shown
from retrain.data.inspection.date_columns import formats_of
from retrain.data.inspection.dialect import MOSTLY
from retrain.data.inspection.look import FEW_CLASSES, LONG, PARTED, Look
from retrain.data.reading.expressions import literal
from retrain.data.reading.file_format import LETTERS, ODD_SHARE, is_clock
from retrain.data.reading.sql_table import Table
from retrain.data.repairs import one_spelling, plain

__all__ = ["ACCEPT", "IGNORE", "NO", "REJECT", "YES", "alike", "amounts", "recorded", "verdicts", "word_column"]


WORDS = 3.0
"""Words in an average value from which a column holds texts."""
UNSPACED = r"[\x{0e00}-\x{0eff}\x{1000}-\x{109f}\x{1780}-\x{17ff}\x{3040}-\x{30ff}\x{3400}-\x{9fff}]"
"""Letters of scripts that write words without spaces: Thai, Lao, Burmese, Khmer, Japanese and Chinese."""
SCATTERED = 0.8
"""The share of different values from which little can be learned from categories."""
RANGE = r"\d{1,3} ?[\x{2013}-] ?\d{1,3}"
QUOTED, FORTRAN = r"[\x27\x{2018}\x{2019}`][+-]?\d[\d.,]*", r"[+-]?\d*\.?\d+[dD][+-]?\d+"
DIGITS = r"[+-]?[\p{Nd}.,\x{66b}\x{66c}\x{ff0e}]*[^\P{Nd}0-9][\p{Nd}.,\x{66b}\x{66c}\x{ff0e}]*"
"""A number as Excel writes it to keep it a text, '13; as Fortran does, 1.5D+02; and in digits of other scripts, such as Thai or wide ones."""
PARTS, SIZES = (
    r"(?i:(\d[\d.,]*\s?([dhmswy]|lb|oz|ft|in|(yr|year|mo|month|wk|week|day|hr|hour|min|minute|sec|second)s?|jahre?|monate?|tage?|std)\.?,?\s?){2,4})",
    rf"\d[\d.,]*(\s?([cm]?m|in|ft)?\s?[xX\x{{d7}}*]\s?\d[\d.,]*)+(\s?[{LETTERS}]{{1,6}})?",
)
"""Several numbers with their units, such as 3d 4h; and sizes such as 30x20x10 cm."""
AMOUNT = rf"[^{LETTERS}\d]{{0,3}}(\d[\d.,]*\s?[{LETTERS}%\x{{b0}}\x{{b2}}\x{{b3}}\x27\x{{22}}/]{{1,6}}\d?|{RANGE}|0[xX][\dA-Fa-f]+)|.*{PARTED}.*|{QUOTED}|{FORTRAN}|{DIGITS}|{PARTS}|{SIZES}"
"""A number with something behind it, such as 85m2, a range such as 20-29, a hexadecimal number, or several numbers such as 1:23."""
MOST_SIGNS, FEW_AMOUNTS = 4, 10
"""Different signs around amounts; if there are more, they are rather parts of codes. And different amounts that can be learned as categories."""
YES, NO = ("yes", "y", "true", "t", "1", "1.0"), ("no", "n", "false", "f", "0", "0.0")
WHOLE_WORDS = frozenset(("yes", "no", "true", "false"))
ANSWER, ACCEPT, REJECT, IGNORE = "answer", "accept", "reject", "ignore"
"""What a column is called that has the verdicts of an annotator, and its values, as Prodigy exports them."""
RECORDED = (
    (
        frozenset(("annotation_id", "lead_time")),
        frozenset(("annotation_id", "annotator", "created_at", "lead_time", "updated_at")),
    ),
    (
        frozenset(("_input_hash", "_task_hash")),
        frozenset(("_annotator_id", "_input_hash", "_session_id", "_task_hash", "_timestamp", "_view_id")),
    ),
)
"""Columns by which exports of Label Studio and Prodigy show, and those that tell how a label was given."""

JOINTS = re.compile(r"(?<=[^\W\d_]{2})[\s_-]+(?=[^\W\d_]{2})|(?<=[^\W\d_]{2})\.$")
"""Signs between words, and a point at the end, with letters around them: they seldom tell values apart."""
SPLITS = frozenset(("train", "training", "test", "testing", "val", "valid", "validation", "dev", "eval", "holdout"))
"""What the parts of a table are called that is already divided."""


def verdicts(table: Table, name: str) -> dict[str, int]:
    """How often an annotator has accepted, rejected and ignored the label of a row; nothing if the column holds something else."""
    if name != ANSWER or table.names.count(name) > 1:
        return {}
    cell = f"c{table.names.index(name)}"
    counts = dict(table.select(f"{cell}, count(*)", f"where {cell} <> '' group by 1 order by 1 limit 4"))
    return counts if ACCEPT in counts and len(counts) > 1 and counts.keys() <= {ACCEPT, REJECT, IGNORE} else {}


def recorded(table: Table) -> frozenset[str]:
    """The columns that an annotation program adds to each label: who gave it, when, and how long that took."""
    return frozenset().union(*(names for keys, names in RECORDED if keys <= {*table.names}))


def word_column(column: Look) -> Column:
    """A column of words: a text, a category, an identifier, or the verdicts of an annotator."""
    if verdicts(column.table, column.name):
        why = "the verdict of an annotator, which new rows don't have"
        return column.column("leave_out", why, option="categories")
    parts = (
        [part for (part,) in column.select("distinct v", "where v <> '' order by v")] if column.distinct <= 4 else []
    )
    lower = [part.lower() for part in parts]
    if len(parts) > 1 and SPLITS.issuperset(lower) and any(part.startswith("train") for part in lower):
        keep = f"so it is left out (--categories {shlex.quote(column.name)} keeps it)"
        fact = f"{shown(column.name)} divides the rows into {schema.enumerated([*map(shown, parts)])}, {keep}"
        told = f"{fact}: to test on the same rows, write them into a file of their own, and give it with --test-file"
        return column.column("leave_out", "the split of each row", doubts=(told,), option="categories")
    lengths = "avg(length(v) - length(replace(v, ' ', '')) + 1), avg(length(v))"
    shares = ", ".join(f"avg(regexp_matches(v, {literal(like)})::int)" for like in (UNSPACED, PARTED))
    words, letters, unspaced, parted = column.fact(f"{lengths}, {shares}", column.sample)
    many, doubts = column.is_varied, column.almost_numbers()
    scattered = many and column.distinct > SCATTERED * column.filled
    few_words = scattered and parted > 1 - ODD_SHARE and letters < LONG
    if many and (words >= WORDS or letters > LONG or (unspaced > 0.5 and letters > WORDS)):
        why = f"{words:.0f} words on average" if words >= WORDS else f"{letters:.0f} characters on average"
        return column.column("texts", why, unspaced=unspaced > 0.5, scattered=few_words)
    if column.distinct == column.filled > FEW_CLASSES and words < 1.5:
        why = "a different value in every row"
        return column.column("leave_out", why, doubts=doubts, option="text")
    why = "1 value" if column.distinct == 1 else f"{column.distinct:,} different values"
    if many and words >= 1.5 and column.distinct > 0.3 * column.filled:
        return column.column("texts", f"{why} of {words:.1f} words", scattered=few_words)
    return column.column("categories", why, doubts=doubts, scattered=scattered, spellings=spellings(column))


def amounts(column: Look, found: Column, otherwise: str = "codes") -> tuple[str, ...]:
    """What to say about a column of words if most of them look like amounts, and there are many different ones.

    If they are not amounts, they are what `otherwise` says: codes, or the classes of a target.
    """
    if column.distinct <= FEW_AMOUNTS:
        return ()
    alike = f"regexp_full_match(v, {literal(AMOUNT)})"
    signs = rf"regexp_replace(regexp_replace(v, '^0[xX][\dA-Fa-f]+$', '0x'), '[^{LETTERS}]+|\p{{Nd}}', '', 'g')"
    share, different, first = column.ask(
        f"avg(({alike})::int), count(distinct {signs}), min(v) filter ({alike})", column.sample
    )
    if (share or 0) <= MOSTLY or different > MOST_SIGNS:
        return ()
    are_clocks = any(map(is_clock, formats_of(column, asked=True)))
    if found.scattered and not are_clocks:
        return ()
    fact = (
        f"values in {shown(column.name)} such as {shown(first)} look like amounts or times, but are not read as numbers"
    )
    hint = f"add --dates {shlex.quote(column.name)} if they are times of day, or " if are_clocks else ""
    return (f"{fact}: {hint}write numbers instead, unless they are {otherwise}",)


def spellings(column: Look) -> tuple[str, ...]:
    """Some categories that seem to mean the same, if there are any; see `alike`."""
    values = [value for (value,) in column.select("distinct v", "where v <> '' order by v")]
    groups = sorted(alike(values), key=lambda group: -len(group))
    return tuple(groups[0]) if groups else ()


def alike(values: Iterable[str]) -> list[list[str]]:
    """Values that are written in several ways, such as low risk and Low-risk, and words that all mean yes, or no.

    See `plain`, `JOINTS` and `one_spelling`.
    Letters alone, such as Y and N, may be codes.
    """
    words = {value: JOINTS.sub("", plain(value)) for value in values}
    means = {**dict.fromkeys(YES, "yes"), **dict.fromkeys(NO, "no")}
    kinds = {means.get(word) for word in words.values()}
    if kinds == {"yes", "no"} and not WHOLE_WORDS.isdisjoint(words.values()):
        words = {value: means[word] for value, word in words.items()}
    numbers = one_spelling(words.values())
    groups: dict[str, list[str]] = {}
    for value, word in words.items():
        groups.setdefault(numbers[word], []).append(value)
    return [group for group in groups.values() if len(group) > 1]
