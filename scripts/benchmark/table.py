"""Results as text: for a terminal, and as Markdown."""

import math

from benchmark.contestants import PIPECAT, PIPECAT_TUNED
from benchmark.results import Results
from benchmark.rows import Row

_ABSENT = "–"


def number(value: float) -> str:
    """Three digits or so; never an exponent."""
    if math.isnan(value):
        return _ABSENT
    if value == 0:
        return "0"
    return f"{value:.{max(0, min(2, 2 - math.floor(math.log10(abs(value)))))}f}"


def times(value: float) -> str:
    """A ratio: how many times better."""
    if math.isnan(value):
        return _ABSENT
    return "∞" if math.isinf(value) else f"{value:.2g}×" if value < 10 else f"{value:.0f}×"


def cells(results: Results) -> list[list[str]]:
    """Header and rows."""
    references = [name for name in (PIPECAT.name, PIPECAT_TUNED.name) if name in results.servers]
    header = ["", *results.servers, *(f"vs {name}" for name in references), "goal", ""]
    return [header, *(_line(results, row, references) for row in results.rows())]


def _line(results: Results, row: Row, references: list[str]) -> list[str]:
    label = f"{row.label}, {row.unit}" if row.unit else row.label
    medians = [number(results.median(row, server)) for server in results.servers]
    ratios = [times(results.ratio(row, reference=reference)) for reference in references]
    return [label, *medians, *ratios, _goal(row), results.verdict(row)]


def _goal(row: Row) -> str:
    return "" if row.goal is None else f"{'≥' if row.more_is_better else '≤'} {row.goal:g}"


def plain(results: Results) -> str:
    """Columns for a terminal."""
    grid = cells(results)
    widths = [max(len(line[column]) for line in grid) for column in range(len(grid[0]))]
    lines = ["  ".join(_aligned(line, widths)).rstrip() for line in grid]
    return "\n".join([*lines, "", *_notes(results)])


def _aligned(line: list[str], widths: list[int]) -> list[str]:
    last = len(line) - 1
    return [
        cell.ljust(width) if column in (0, last) else cell.rjust(width)
        for column, (cell, width) in enumerate(zip(line, widths, strict=True))
    ]


def markdown(results: Results) -> str:
    """A table for the README."""
    header, *lines = cells(results)
    rule = ["---", *("---:" for _ in header[2:]), "---"]
    table = [f"| {' | '.join(line)} |" for line in (header, rule, *lines)]
    return "\n".join([*table, "", *_notes(results)])


def _notes(results: Results) -> list[str]:
    about = " · ".join(f"{name} {value}" for name, value in results.about.items())
    return [f"rounds {results.rounds} · {about}", *(f"failed: {failure}" for failure in results.failures)]
