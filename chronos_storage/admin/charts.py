"""The geometry of charts, which templates draw as SVG."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

WIDTH, HEIGHT = 720, 160
_GAP = 0.18
#: Where labels under the axis stand side by side without touching.
_LABELS = 8


@dataclass(frozen=True)
class Box:
    """A part of a column: what it is for, where it stands, and the address of what it counts, if that is somewhere."""

    series: int
    title: str
    x: float
    y: float
    width: float
    height: float
    address: str = ""


@dataclass(frozen=True)
class Chart:
    """Stacked columns.

    Attributes:
        grid: the values marked on the axis, as short texts, each with where it stands.
        labels: what stands under the columns, each with where.
    """

    boxes: list[Box]
    grid: list[tuple[str, float]]
    labels: list[tuple[str, float]]
    width: int = WIDTH
    height: int = HEIGHT


def stacked(
    names: Sequence[str],
    labels: Sequence[str],
    values: Sequence[Sequence[int]],
    *,
    titles: Sequence[str] | None = None,
    address: Callable[[int, int], str] = lambda _place, _series: "",
) -> Chart:
    """A chart of columns, one a label.

    Args:
        names: what the parts of each column are for.
        values: of each column, its parts.
        titles: what each column is called where there is room; its label, unless this is given.
        address: where that is which a part counts, by the places of its column and of its name.
    """
    top = _round_up(max((sum(column) for column in values), default=0))
    step = WIDTH / max(len(values), 1)
    boxes = []
    for place, column in enumerate(values):
        bottom = float(HEIGHT)
        for series, value in enumerate(column):
            if value <= 0:
                continue
            height = HEIGHT * value / top
            bottom -= height
            title = f"{(titles or labels)[place]}, {names[series]}: {value:,}"
            x, width = step * (place + _GAP / 2), step * (1 - _GAP)
            place_of_it = address(place, series)
            boxes.append(
                Box(series, title, round(x, 2), round(bottom, 2), round(width, 2), round(height, 2), place_of_it)
            )
    every = math.ceil(len(labels) / _LABELS) if labels else 1
    under = [(label, round(step * (place + 0.5), 2)) for place, label in enumerate(labels) if place % every == 0]
    grid = [(round(top * part / 2), HEIGHT * (1 - part / 2)) for part in range(3)] if top > 1 else [(0, HEIGHT), (1, 0)]
    return Chart(boxes, [(_short(value), float(y)) for value, y in grid], under)


def _short(value: int) -> str:
    """A number of few digits and noughts, in thousands or more where it has many."""
    power = min(max(len(str(value)) - 1, 0) // 3, 4)
    return f"{value / 1000**power:g}{('', 'k', 'M', 'G', 'T')[power]}"


def _round_up(value: int) -> int:
    """The next even number of one or two digits and noughts."""
    if value <= 1:
        return 1
    unit = 10 ** max(len(str(value)) - 2, 0)
    rounded: int = 2 * unit * math.ceil(value / (2 * unit))
    return rounded
