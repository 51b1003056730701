"""Results as a picture: bars in SVG, one group a row, as wide as the value is beside the group's largest."""

import math
from html import escape

from benchmark.results import Results
from benchmark.rows import Row
from benchmark.table import number

_COLOURS = ("#2563eb", "#d97706", "#fbbf24", "#6b7280", "#10b981", "#a855f7")
_WIDTH, _LEFT, _RIGHT = 760, 250, 80
_BAR, _GAP, _HEAD = 12, 14, 40
_FONT = 'font-family="sans-serif" font-size="11"'


def svg(results: Results) -> str:
    """A whole document; rows without a value of two servers are left out."""
    parts, top = _legend(results.servers), _HEAD
    for row in results.rows():
        shown = [name for name in results.servers if not math.isnan(results.median(row, name))]
        if len(shown) > 1:
            parts += _group(results, row, shown, top)
            top += _BAR * len(shown) + _GAP
    return "\n".join([
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH}" height="{top}" {_FONT}>',
        f'<rect width="{_WIDTH}" height="{top}" fill="white"/>',
        *parts,
        "</svg>",
        "",
    ])  # fmt: skip


def _legend(servers: list[str]) -> list[str]:
    places = [
        (name, colour, 12 + 120 * index) for index, (name, colour) in enumerate(zip(servers, _COLOURS, strict=False))
    ]
    squares = [f'<rect x="{x}" y="12" width="10" height="10" fill="{colour}"/>' for _, colour, x in places]
    return squares + [f'<text x="{x + 15}" y="21">{escape(name)}</text>' for name, _, x in places]


def _group(results: Results, row: Row, shown: list[str], top: int) -> list[str]:
    largest = max(results.median(row, name) for name in shown) or 1.0
    arrow = "more is better" if row.more_is_better else ""
    label = ", ".join(part for part in (row.label, row.unit, arrow) if part)
    parts = [f'<text x="{_LEFT - 8}" y="{top + _BAR * len(shown) / 2 + 4:g}" text-anchor="end">{escape(label)}</text>']
    for place, name in enumerate(shown):
        value = results.median(row, name)
        parts += _bar(
            value / largest, number(value), _COLOURS[results.servers.index(name) % len(_COLOURS)], top + place * _BAR
        )
    return parts


def _bar(share: float, text: str, colour: str, top: int) -> list[str]:
    width = max(0.0, share) * (_WIDTH - _LEFT - _RIGHT)
    return [
        f'<rect x="{_LEFT}" y="{top}" width="{width:.1f}" height="{_BAR - 2}" fill="{colour}"/>',
        f'<text x="{_LEFT + width + 5:.1f}" y="{top + _BAR - 3}">{text}</text>',
    ]
