"""Tables of text, for the terminal and for Markdown."""

import math
from collections.abc import Sequence

__all__ = ["in_common", "table"]


DECIMALS, DIGITS, LARGE, LEAST, MOST = 4, 4, 1e5, 1e-6, 1e9
"""Numbers have so many decimals, or more if the largest needs them for so many digits; if it is large, only as many as the smallest
needs. Below the least and from the most on, numbers have an exponent."""


def in_common(numbers: Sequence[float | None], sign: str = "") -> list[str]:
    """Numbers that people compare, all with the same decimals, unless one would look like 0; empty where there is none.

    Args:
        numbers: those of a row or a column of a table.
        sign: `+` for differences.
    """
    sizes = [abs(number) for number in numbers if number]
    if sizes and not LEAST <= max(sizes) < MOST:
        return ["" if number is None else f"{number:{sign}.{DIGITS}g}" for number in numbers]
    decimals = DECIMALS
    if sizes and max(sizes) >= LARGE:
        decimals = min(DECIMALS, max(0, DIGITS - 1 - math.floor(math.log10(min(sizes)))))
    elif sizes and max(sizes) < 1:
        decimals = max(DECIMALS, DIGITS - 1 - math.floor(math.log10(max(sizes))))

    def shown(number: float | None) -> str:
        if number is None:
            return ""
        is_lost = number and abs(number) < 0.5 / 10**decimals
        return f"{number:{sign}.2g}" if is_lost else f"{number:{sign}z.{decimals}f}"

    return list(map(shown, numbers))


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
