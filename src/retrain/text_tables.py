"""Tables of text, for the terminal and for Markdown."""

import math
from collections.abc import Sequence

__all__ = ["in_common", "table"]


DECIMALS, DIGITS, LARGE, LEAST, MOST = 4, 4, 1e5, 1e-6, 1e9
"""Numbers have so many decimals, or more if the largest needs them for so many digits; none if it is large. Below the least and
from the most on, numbers have an exponent."""


def in_common(numbers: Sequence[float | None], sign: str = "") -> list[str]:
    """Numbers that people compare, all with the same decimals; empty where there is none.

    Args:
        numbers: those of a row or a column of a table.
        sign: `+` for differences.
    """
    largest = max((abs(number) for number in numbers if number is not None), default=0.0)
    if largest and not LEAST <= largest < MOST:
        return ["" if number is None else f"{number:{sign}.{DIGITS}g}" for number in numbers]
    decimals = 0 if largest >= LARGE else DECIMALS
    if 0 < largest < 1:
        decimals = max(DECIMALS, DIGITS - 1 - math.floor(math.log10(largest)))
    return ["" if number is None else f"{number:{sign}z.{decimals}f}" for number in numbers]


def table(rows: Sequence[Sequence[str]], *, left: int, markdown: bool) -> list[str]:
    """Rows as lines with aligned columns; the first row is the header.

    Args:
        rows: the cells, as many in each row.
        left: how many columns are aligned to the left; the others are to the right.
        markdown: whether the lines are a Markdown table.
    """
    cells = [[cell.replace("|", "\\|") if markdown else cell for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    padded = [
        [cell.ljust(width) if place < left else cell.rjust(width) for place, (cell, width) in enumerate(zip(row, widths, strict=True))]
        for row in cells
    ]  # fmt: skip
    if not markdown:
        return ["  ".join(row).rstrip() for row in padded]
    rules = ["-" * (width + 1) + ("-" if place < left else ":") for place, width in enumerate(widths)]
    header, *others = (f"| {' | '.join(row)} |" for row in padded)
    return [header, f"|{'|'.join(rules)}|", *others]
