"""Figures per day and agent, worked out by the database in one statement a table."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from functools import partial
from typing import Any

from django.db import connections, models
from django.db.models import Count, Sum
from django.db.models.functions import TruncDate

from ..compat.queries import statement
from ..compat.schema import quoted
from ..failures import failed
from ..models import Event, Message, Session, Trace
from .summaries import TOKENS


@dataclass
class Figures:
    """A figure of each day and agent that has one."""

    counts: dict[date, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))

    def add(self, day: date, agent_id: str, value: int) -> None:
        """Count something more."""
        self.counts[day][agent_id] += value

    @property
    def by_agent(self) -> Counter[str]:
        """The sum of all days."""
        return sum(self.counts.values(), Counter())


@dataclass(frozen=True)
class Source:
    """A table, what is worked out of its rows, or of its failures alone, and the column of the time."""

    model: type[models.Model]
    timestamp: str
    figures: dict[str, Any]
    failures: bool = False


SOURCES = (
    Source(Session, "created_at", {"sessions": Count("pk")}),
    Source(Event, "created_at", {"events": Count("pk")}),
    Source(Message, "created_at", {"tokens": Sum(TOKENS)}),
    Source(Message, "created_at", {"errors": Count("pk")}, failures=True),
    Source(Trace, "started_at", {"errors": Count("pk")}, failures=True),
)


def collect(using: str, source: Source, since: date, until: date) -> dict[str, Figures]:
    """The figures of a table, by name, of the days from `since` to `until`, which are in UTC."""
    first = datetime.combine(since, time(), UTC)
    end = datetime.combine(until + timedelta(days=1), time(), UTC)
    rows = source.model._default_manager.using(using).filter(
        **{f"{source.timestamp}__gte": first, f"{source.timestamp}__lt": end}
    )
    if source.failures:
        rows = rows.filter(failed(source.model))
    day = TruncDate(source.timestamp, tzinfo=UTC)
    owner = "agent_id" if source.model is Session else "session_id"
    grouped = rows.order_by().annotate(day=day).values("day", owner).annotate(**source.figures)
    found = {name: Figures() for name in source.figures}
    for each, agent_id, *values in _by_agent(using, grouped, owner, list(source.figures)):
        each = date.fromisoformat(each) if isinstance(each, str) else each
        for name, value in zip(source.figures, values, strict=True):
            if value:
                found[name].add(each, agent_id, int(value))
    return found


def _by_agent(using: str, grouped: Any, owner: str, names: list[str]) -> Any:
    """The groups' days, agents and figures.

    What belongs to sessions is first added up by session, so that the agents of those sessions alone are looked up.
    """
    if owner == "agent_id":
        return grouped.values_list("day", owner, *names)
    inner, parameters = statement(grouped.values_list("day", owner, *names))
    quote = partial(quoted, connections[using])
    columns = ", ".join(quote(name) for name in ("day", owner, *names))
    sums = ", ".join(f"SUM({quote(name)})" for name in names)
    # A join would make PostgreSQL read all sessions for a day's few. The text is of our own names only; all values are
    # parameters of the inner statement.
    sql = (
        f"WITH grouped ({columns}) AS ({inner}), owned AS (SELECT grouped.*, COALESCE((SELECT s.agent_id"  # noqa: S608
        f" FROM {quote(Session._meta.db_table)} s WHERE s.id = grouped.session_id), '') AS agent_id FROM grouped)"
        f" SELECT {quote('day')}, agent_id, {sums} FROM owned GROUP BY {quote('day')}, agent_id"
    )
    with connections[using].cursor() as cursor:
        cursor.execute(sql, parameters)
        return cursor.fetchall()
