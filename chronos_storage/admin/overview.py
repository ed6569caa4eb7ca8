"""The overview: what agents did, day by day."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from django import forms
from django.http import HttpRequest
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from .. import records
from ..text import visible
from .access import may
from .charts import Chart, stacked
from .figures import SOURCES, Figures, collect

#: The longest period, in days, and the one that is shown unless another is chosen.
LONGEST, USUAL = 92, 14
#: How many agents have a colour of their own; the others share one.
_COLOURS = 7

NAMES = {
    "sessions": gettext_lazy("Sessions"),
    "events": gettext_lazy("Events"),
    "errors": gettext_lazy("Errors"),
    "tokens": gettext_lazy("Tokens"),
}


class PeriodForm(forms.Form):
    """Which days, and of which agent."""

    since = forms.DateField(label=gettext_lazy("from"), widget=forms.DateInput(attrs={"type": "date"}))
    until = forms.DateField(label=gettext_lazy("to"), widget=forms.DateInput(attrs={"type": "date"}))

    def clean(self) -> dict[str, Any]:
        given = super().clean() or self.cleaned_data
        since, until = given.get("since"), given.get("until")
        if since and until and not 0 <= (until - since).days < LONGEST:
            raise forms.ValidationError(
                _("Choose a period of at most %(days)d days, the first day before the last."), params={"days": LONGEST}
            )
        return given


@dataclass(frozen=True)
class Panel:
    """A figure's chart and table.

    Attributes:
        agents: whose figures these are, the largest first; the last may be all others.
        rows: of each day that has any, the figures of each agent and their sum.
        total: the sums of all days.
    """

    name: str
    title: str
    agents: list[str]
    chart: Chart
    rows: list[tuple[date, list[int], int]]
    total: int


def period(request: HttpRequest) -> tuple[PeriodForm, date, date]:
    """The form and the days it asks for; the usual ones, if it asks for none or what can't be."""
    today = records.now().date()
    usual = {"since": today - timedelta(days=USUAL - 1), "until": today}
    form = PeriodForm(request.GET if "since" in request.GET or "until" in request.GET else usual)
    given = form.cleaned_data if form.is_valid() else usual
    return form, given["since"], given["until"]


def panels(request: HttpRequest, using: str, since: date, until: date) -> list[Panel]:
    """A panel for each figure whose rows the user may see."""
    figures: dict[str, Figures] = {}
    for source in SOURCES:
        if may(request, "view", source.model):
            for name, found in collect(using, source, since, until).items():
                for day, counts in found.counts.items():
                    figures.setdefault(name, Figures()).counts[day].update(counts)
                figures.setdefault(name, Figures())
    days = [since + timedelta(days=number) for number in range((until - since).days + 1)]
    overall = sum((Counter(dict.fromkeys(found.by_agent, 1)) for found in figures.values()), Counter[str]())
    ranked = sorted(overall, key=lambda agent: (-sum(found.by_agent[agent] for found in figures.values()), agent))
    named = ranked if len(ranked) <= _COLOURS + 1 else ranked[:_COLOURS]
    return [_panel(name, figures[name], named, len(ranked) > len(named), days) for name in NAMES if name in figures]


def _panel(name: str, found: Figures, agents: list[str], others: bool, days: list[date]) -> Panel:
    shown = [visible(agent) or _("no agent") for agent in agents] + ([_("all others")] if others else [])
    values = []
    for day in days:
        counts = found.counts.get(day, Counter())
        column = [counts[agent] for agent in agents]
        values.append([*column, sum(counts.values()) - sum(column)] if others else column)
    rows = [(day, column, sum(column)) for day, column in zip(days, values, strict=True) if any(column)]
    chart = stacked(shown, [day.isoformat() for day in days], values)
    return Panel(name, str(NAMES[name]), shown, chart, rows, sum(total for *_, total in rows))
