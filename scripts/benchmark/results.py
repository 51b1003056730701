"""What was measured: the values of every round, their medians, ratios, and what went wrong."""

import math
from dataclasses import dataclass, field
from typing import Any

from benchmark.contestants import PIPECAT, SMALLRTC
from benchmark.figures import median, ratio
from benchmark.rows import ROWS, Figures, Row


@dataclass(slots=True)
class Results:
    """Grows with each measurement."""

    servers: list[str]
    "Names, in the order of the columns."

    about: dict[str, str]
    "Date, machine and versions."

    values: dict[str, dict[str, list[float]]] = field(default_factory=dict)
    "By row, then by server."

    rounds: int = 0
    "That came to their end."

    failures: list[str] = field(default_factory=list)
    "Sentences."

    def add(self, server: str, figures: Figures) -> None:
        for row, value in figures.items():
            self.values.setdefault(row, {}).setdefault(server, []).append(value)

    def rows(self) -> list[Row]:
        """Those that any server has a value for."""
        return [row for row in ROWS if row.name in self.values]

    def median(self, row: Row, server: str) -> float:
        """Over the rounds; NaN where there is none."""
        return median(self.values.get(row.name, {}).get(server, []))

    def ratio(self, row: Row, server: str = SMALLRTC.name, reference: str = PIPECAT.name) -> float:
        """How many times better than the reference; NaN where one of them has no value."""
        return ratio(self.median(row, server), self.median(row, reference), more_is_better=row.more_is_better)

    def verdict(self, row: Row) -> str:
        """`ok` or `short` of the goal; empty where there is no goal or no value."""
        value = self.median(row, SMALLRTC.name)
        reached = None if math.isnan(value) else row.reaches(value)
        return {None: "", True: "ok", False: "short"}[reached]


def document(results: Results) -> dict[str, Any]:
    """For `--json`; what is no number is null."""
    return {
        "version": 1,
        "about": results.about,
        "rounds": results.rounds,
        "rows": [_row(results, row) for row in results.rows()],
        "failures": results.failures,
    }


def _row(results: Results, row: Row) -> dict[str, Any]:
    return {
        "name": row.name,
        "label": row.label,
        "unit": row.unit,
        "goal": row.goal,
        "verdict": results.verdict(row) or None,
        "median": {server: _number(results.median(row, server)) for server in results.servers},
        "ratio_to_pipecat": {server: _number(results.ratio(row, server)) for server in results.servers},
        "rounds": {server: [_number(value) for value in values] for server, values in results.values[row.name].items()},
    }


def _number(value: float) -> float | None:
    return round(value, 4) if math.isfinite(value) else None
