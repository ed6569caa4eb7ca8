"""The overview: what agents did, hour by hour or day by day, and how tools and models fared."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from django.http import HttpRequest
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from ..text import visible
from .access import may
from .charts import Chart, stacked
from .figures import SOURCES, Figures, collect
from .periods import Period

#: How many agents have a colour of their own; the others share one.
_COLOURS = 7

NAMES = {
    "sessions": gettext_lazy("Sessions"),
    "errors": gettext_lazy("Errors"),
    "events": gettext_lazy("Events"),
    "tokens": gettext_lazy("Tokens"),
}


@dataclass(frozen=True)
class Row:
    """A part of the period.

    Attributes:
        cells: of each agent, the figure and the address of what it counts.
        total: of all agents, the same.
    """

    label: str
    cells: list[tuple[int, str]]
    total: tuple[int, str]


@dataclass(frozen=True)
class Panel:
    """A figure's chart and table.

    Attributes:
        agents: whose figures these are, the largest first; the last may be all others.
        rows: of each part that has any, the figures of each agent and their sum.
        total: the sums of all parts.
        address: of what is counted.
    """

    name: str
    title: str
    agents: list[str]
    chart: Chart
    rows: list[Row]
    total: int
    address: str


def panels(request: HttpRequest, using: str, span: Period, tokens: int | None) -> list[Panel]:
    """A panel for each figure whose rows the user may see.

    Args:
        tokens: which column of the list of sessions has the tokens, if the user may see it.
    """
    figures: dict[str, Figures] = {}
    for source in SOURCES:
        if may(request, "view", source.model):
            for name, found in collect(using, source, span).items():
                for part, counts in found.counts.items():
                    figures.setdefault(name, Figures()).counts[part].update(counts)
                figures.setdefault(name, Figures())
    if not all(may(request, "view", source.model) for source in SOURCES if "errors" in source.figures):
        figures.pop("errors", None)  # which the list of sessions with errors would not show
    overall = sum((Counter(dict.fromkeys(found.by_agent, 1)) for found in figures.values()), Counter[str]())
    ranked = sorted(overall, key=lambda agent: (-sum(found.by_agent[agent] for found in figures.values()), agent))
    named = ranked if len(ranked) <= _COLOURS + 1 else ranked[:_COLOURS]
    lists = _Lists(*(reverse(f"admin:chronos_storage_{name}_changelist") for name in ("session", "event")))
    return [
        _panel(name, figures[name], named, len(ranked) > len(named), span, partial(_address, lists, name, span, tokens))
        for name in NAMES
        if name in figures
    ]


@dataclass(frozen=True)
class _Lists:
    """Where the lists are that figures lead to."""

    sessions: str
    events: str


def _address(
    lists: _Lists, name: str, span: Period, tokens: int | None, part: datetime | None = None, agent: str = ""
) -> str:
    """Where that is listed which a figure counts; the tokens are those of sessions, the largest first."""
    whose = {"agent_id": agent} if agent else {}
    if name == "events":
        whose = {f"session__{column}": value for column, value in whose.items()}
        return f"{lists.events}?{span.query(part, **whose)}"
    wanted = {"sessions": {"show": "begun"}, "errors": {"show": "errors"}, "tokens": {"o": str(tokens)}}[name]
    return f"{lists.sessions}?{span.query(part, **wanted, **whose)}"


def _panel(
    name: str, found: Figures, agents: list[str], others: bool, span: Period, address: Callable[..., str]
) -> Panel:
    shown = [visible(agent) or _("no agent") for agent in agents] + ([_("all others")] if others else [])
    whose = [*agents, ""] if others else agents
    parts = span.parts
    values = []
    for part in parts:
        counts = found.counts.get(part, Counter())
        column = [counts[agent] for agent in agents]
        values.append([*column, sum(counts.values()) - sum(column)] if others else column)
    rows = [
        Row(
            span.label(part),
            [(value, address(part, agent)) for value, agent in zip(column, whose, strict=True)],
            (sum(column), address(part)),
        )
        for part, column in zip(parts, values, strict=True)
        if any(column)
    ]
    chart = stacked(
        shown,
        [span.short(part) for part in parts],
        values,
        titles=[span.label(part) for part in parts],
        address=lambda place, series: address(parts[place], whose[series]),
    )
    return Panel(name, str(NAMES[name]), shown, chart, rows, sum(row.total[0] for row in rows), address())
