"""Columns: Go's ``text/tabwriter`` with blanks as padding and no flags.

A column reaches over consecutive lines that have a tab after it, so a line with
fewer cells begins new columns, as in Go.
"""

from __future__ import annotations

from pierhead.cli.format.units import text_width


def tabwriter(text: str, minimum: int = 10, padding: int = 3) -> str:
    """Replace tabs in ``text`` by blanks so that cells line up.

    ``minimum`` is the narrowest column, ``padding`` what a cell's text is widened by.
    The defaults are docker's tables; ``pier version`` uses 20 and 1.
    """
    lines = [line.split("\t") for line in text.split("\n")]
    padded: list[list[str]] = [[] for _ in lines]
    start = 0
    while start < len(lines):
        if len(lines[start]) == 1:
            start += 1
            continue
        end = start + 1
        while end < len(lines) and len(lines[end]) > 1:
            end += 1
        _align(lines, padded, start, end, 0, minimum, padding)
        start = end
    return "\n".join(["".join(cells) + line[-1] for line, cells in zip(lines, padded, strict=True)])


def _align(
    lines: list[list[str]],
    padded: list[list[str]],
    start: int,
    end: int,
    column: int,
    minimum: int,
    padding: int,
) -> None:
    """Pad one column of the lines ``start`` to ``end``, then the columns after it."""
    cells = [line[column] for line in lines[start:end]]
    widths = [text_width(cell) for cell in cells]
    width = max([minimum, *[one + padding for one in widths]])
    for at, cell in enumerate(cells):
        padded[start + at].append(cell + " " * (width - widths[at]))
    at = start
    while at < end:
        if len(lines[at]) - 1 <= column + 1:
            at += 1
            continue
        stop = at + 1
        while stop < end and len(lines[stop]) - 1 > column + 1:
            stop += 1
        _align(lines, padded, at, stop, column + 1, minimum, padding)
        at = stop


def tabbed(lines: list[list[str]]) -> str:
    """Columns by tab stops of eight, as Go's tabwriter pads with tabs."""
    widths = [
        -(-(max(len(line[at]) for line in lines) + 1) // 8) * 8 for at in range(len(lines[0]) - 1)
    ]
    out = []
    for line in lines:
        cells = [
            cell + "\t" * -(-(width - len(cell)) // 8)
            for cell, width in zip(line, widths, strict=False)
        ]
        out.append("".join(cells) + line[-1] + "\n")
    return "".join(out)
