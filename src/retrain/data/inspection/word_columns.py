"""Columns of words: texts, categories and identifiers."""

from retrain.data.dialect import MOSTLY, ODD_SHARE
from retrain.data.inspection.column import Column
from retrain.data.inspection.look import FEW_CLASSES, LONG, PARTED, Look
from retrain.data.sql_table import literal

__all__ = ["word_column"]


WORDS = 3.0
"""Words in an average value from which a column holds texts."""
UNSPACED = r"[\x{0e00}-\x{0eff}\x{1000}-\x{109f}\x{1780}-\x{17ff}\x{3040}-\x{30ff}\x{3400}-\x{9fff}]"
"""Letters of scripts that write words without spaces: Thai, Lao, Burmese, Khmer, Japanese and Chinese."""
SCATTERED = 0.8
"""The share of different values from which little can be learned from categories."""
CLOCK = r"\d.*[/. -].*\d:\d\d"
"""What a date with a time of day has, but no duration such as 1:02:03."""
YES, NO = ("yes", "y", "true", "t", "1", "1.0"), ("no", "n", "false", "f", "0", "0.0")


def word_column(column: Look) -> Column:
    """A column of words: a text, a category, or an identifier."""
    words, letters = column.ask("avg(length(v) - length(replace(v, ' ', '')) + 1), avg(length(v))", column.sample)
    shares = ", ".join(f"avg(regexp_matches(v, {literal(like)})::int)" for like in (UNSPACED, PARTED, CLOCK))
    unspaced, amounts, clocks = column.ask(shares, column.sample)
    is_timed = clocks > MOSTLY
    many, doubts = column.is_varied, column.almost_numbers
    scattered = many and column.distinct > SCATTERED * column.filled
    few_words = scattered and amounts > 1 - ODD_SHARE and letters < LONG
    if many and (words >= WORDS or letters > LONG or (unspaced > 0.5 and letters > WORDS)):
        why = f"{words:.0f} words on average" if words >= WORDS else f"{letters:.0f} characters on average"
        return column.column("texts", why, unspaced=unspaced > 0.5, scattered=few_words, is_timed=is_timed)
    if column.distinct == column.filled > FEW_CLASSES and words < 1.5:
        why = "it has a different value in every row"
        return column.column("leave_out", why, doubts=doubts, scattered=few_words, is_timed=is_timed)
    why = "1 value" if column.distinct == 1 else f"{column.distinct:,} different values"
    if many and words >= 1.5 and column.distinct > 0.3 * column.filled:
        return column.column("texts", f"{why} of {words:.1f} words", scattered=few_words, is_timed=is_timed)
    return column.column(
        "categories", why, doubts=doubts, scattered=scattered, is_timed=is_timed, spellings=spellings(column)
    )


def spellings(column: Look) -> tuple[str, ...]:
    """Categories that differ only in case or spaces, or words that all mean yes, or no. Letters alone may be codes."""
    yes, both = (", ".join(map(literal, words)) for words in (YES, (*YES, *NO)))
    same = "lower(regexp_replace(v, '\\s+', ' ', 'g'))"
    words = "bool_or(lower(v) in ('yes', 'true')) and bool_or(lower(v) in ('no', 'false'))"
    if column.ask(f"bool_and(lower(v) in ({both})) and {words}", "(select v from looked where v <> '')")[0]:
        same = f"lower(v) in ({yes})"
    several = f"where v <> '' group by {same} having len(names) > 1 order by len(names) desc, names limit 1"
    return next((tuple(names) for (names,) in column.select("list(distinct v order by v) as names", several)), ())
