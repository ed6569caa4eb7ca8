"""How tools and models fared in a period: how often they failed, how long they took, what they cost."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import Any

from django.db import connections
from django.db.models import (
    Aggregate,
    Avg,
    Case,
    CharField,
    Count,
    DurationField,
    ExpressionWrapper,
    F,
    Max,
    Q,
    Sum,
    When,
)
from django.http import HttpRequest
from django.urls import reverse

from ..failures import failed
from ..models import Message, Trace
from ..text import visible
from .access import may
from .periods import Period
from .summaries import TOKENS

#: How many tools and models are shown, those that were called most.
_SHOWN = 20
TOOL, MODEL = "tool_call", "model_call"
#: The column of the list of spans that has the duration.
_BY_DURATION = "3"
DURATION = ExpressionWrapper(F("ended_at") - F("started_at"), DurationField())


class _Percentile(Aggregate):
    """The duration that this share of the rows stay below; PostgreSQL's."""

    template = "percentile_cont(%(share)s) WITHIN GROUP (ORDER BY %(expressions)s)"
    output_field = DurationField()

    def __init__(self, share: float) -> None:
        super().__init__(DURATION, share=share)


@dataclass(frozen=True)
class Fared:
    """How a tool or a model fared.

    Attributes:
        half, most: the durations that half of its calls stay below, and 95 of a hundred; None where the database
            doesn't work them out.
        results: how many results of the tool messages bring, and how many of these say that it failed.
        addresses: of what is counted, by name: of its calls all of them, those that failed, and the slowest first; of
            its results all of them, and those that say that it failed.
    """

    name: str
    calls: int
    failures: int
    mean: timedelta | None
    half: timedelta | None
    most: timedelta | None
    longest: timedelta | None
    tokens: int
    cost: Decimal | None
    results: int
    failed_results: int
    addresses: dict[str, str]

    @property
    def rate(self) -> float:
        """The share of its calls, or of its results where no span tells of calls, that failed, in per cent."""
        all_, bad = (self.calls, self.failures) if self.calls else (self.results, self.failed_results)
        return 100 * bad / all_ if all_ else 0.0


def fared(request: HttpRequest, using: str, span: Period) -> dict[str, list[Fared]]:
    """How the tools and the models fared that were called most, by the kind of their spans; nothing where the user may
    see none of it.
    """
    if not may(request, "view", Trace):
        return {}
    # One statement for both: it has to read all spans of the period.
    label = Case(When(kind=TOOL, then="name"), default="model", output_field=CharField())
    rows = Trace.objects.using(using).filter(
        kind__in=(TOOL, MODEL), started_at__gte=span.start, started_at__lt=span.end
    )
    figures: dict[str, Any] = {
        "calls": Count("*"),
        "failures": Count("status", filter=Q(status="error")),
        "mean": Avg(DURATION),
        "longest": Max(DURATION),
        "tokens": Sum(TOKENS),
        "cost": Sum("cost"),
    }
    if connections[using].vendor == "postgresql":
        figures |= {"half": _Percentile(0.5), "most": _Percentile(0.95)}
    grouped: Any = rows.order_by().annotate(label=label).values("kind", "label").annotate(**figures)
    found: dict[str, dict[str, dict[str, Any]]] = {TOOL: {}, MODEL: {}}
    for values in grouped.order_by("-calls", "label"):
        of_kind = found[values.pop("kind")]
        if len(of_kind) < _SHOWN:
            of_kind[values.pop("label")] = values
    if may(request, "view", Message):
        _add_results(using, span, found[TOOL])
    return {kind: [_fared(name, span, kind, values) for name, values in each.items()] for kind, each in found.items()}


def _add_results(using: str, span: Period, tools: dict[str, dict[str, Any]]) -> None:
    """What messages say of tools, which is all there is of them where no spans are kept."""
    results = Message.objects.using(using).filter(created_at__gte=span.start, created_at__lt=span.end, role="tool")
    for figure, rows in (("results", results), ("failed_results", results.filter(failed(Message)))):
        counted = rows.order_by().values("name").annotate(count=Count("*")).order_by("-count", "name")
        for tool, count in counted.values_list("name", "count")[:_SHOWN]:
            tools.setdefault(tool, {})[figure] = count


def _fared(name: str, span: Period, kind: str, values: dict[str, Any]) -> Fared:
    spans, column = reverse("admin:chronos_storage_trace_changelist"), "name" if kind == TOOL else "model"
    of_it = {"kind": kind, column: name}
    messages, results = reverse("admin:chronos_storage_message_changelist"), {"role": "tool", "name": name}
    return Fared(
        name=visible(name),
        calls=values.get("calls", 0),
        failures=values.get("failures", 0),
        mean=values.get("mean"),
        half=values.get("half"),
        most=values.get("most"),
        longest=values.get("longest"),
        tokens=int(values.get("tokens") or 0),
        cost=values.get("cost"),
        results=values.get("results", 0),
        failed_results=values.get("failed_results", 0),
        addresses={
            "calls": f"{spans}?{span.query(None, **of_it)}",
            "failures": f"{spans}?{span.query(None, **of_it, status='error')}",
            "results": f"{messages}?{span.query(None, **results)}",
            "failed_results": f"{messages}?{span.query(None, **results, failed='True')}",
            "longest": f"{spans}?{span.query(None, **of_it, o=_BY_DURATION)}",
        },
    )
