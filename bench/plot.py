"""Bars on a logarithmic scale as SVG text; no library. Colours are readable on white and on black paper."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape

Bar = tuple[str, float]

_LEFT, _WIDTH, _ROW, _TOP = 470, 430, 20, 46
_STYLE = (
    "text{font:12px sans-serif;fill:#333}line{stroke:#bbb}.bar{fill:#4878a8}.title{font-weight:bold;font-size:14px}"
    "@media(prefers-color-scheme:dark){text{fill:#ddd}line{stroke:#555}.bar{fill:#6c9ccc}}"
)


def bars(title: str, unit: str, rows: Sequence[Bar]) -> str:
    """One bar a row, its figure at its end. Rows without a positive figure are left out."""
    rows = [(name, value) for name, value in rows if value > 0]
    low = math.floor(math.log10(min((value for _, value in rows), default=1)))
    high = math.ceil(math.log10(max((value for _, value in rows), default=10)) + 0.01)
    height = _TOP + _ROW * len(rows) + 12
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_LEFT + _WIDTH + 70}" height="{height}" role="img">',
        f'<title>{escape(title)}</title><style>{_STYLE}</style><text class="title" x="8" y="18">{escape(title)}</text>',
        *(_line(decade, low, high, height, unit) for decade in range(low, high + 1)),
        *(_bar(place, row, low, high) for place, row in enumerate(rows)),
        "</svg>\n",
    ]
    return "\n".join(parts)


def _at(value: float, low: int, high: int) -> float:
    return _LEFT + _WIDTH * (math.log10(value) - low) / max(1, high - low)


def _line(decade: int, low: int, high: int, height: int, unit: str) -> str:
    x, value = _at(10.0**decade, low, high), 10.0**decade
    return (
        f'<line x1="{x:.0f}" x2="{x:.0f}" y1="{_TOP - 8}" y2="{height - 8}"/>'
        f'<text x="{x:.0f}" y="{_TOP - 12}" text-anchor="middle">{value:g} {escape(unit)}</text>'
    )


def _bar(place: int, row: Bar, low: int, high: int) -> str:
    name, value = row
    y, end = _TOP + place * _ROW, _at(value, low, high)
    return (
        f'<text x="{_LEFT - 6}" y="{y + 13}" text-anchor="end">{escape(name)}</text>'
        f'<rect class="bar" x="{_LEFT}" y="{y + 2}" width="{max(1.0, end - _LEFT):.0f}" height="{_ROW - 5}"/>'
        f'<text x="{max(end, _LEFT) + 5:.0f}" y="{y + 13}">{shown(value)}</text>'
    )


def shown(value: float) -> str:
    """Three figures, never in powers of ten."""
    digits = 0 if value == 0 or abs(value) >= 100 else min(3, 2 - math.floor(math.log10(abs(value))))
    return f"{round(value, digits):,.{max(0, digits)}f}"
