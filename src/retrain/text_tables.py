"""Tables of text, for the terminal and for Markdown."""

from collections.abc import Sequence

__all__ = ["table"]


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
