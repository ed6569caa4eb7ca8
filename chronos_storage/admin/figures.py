"""Figures per hour and agent, worked out by the database in one statement a table."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import Any

from django.db import connections, models, transaction
from django.db.models import Count, DateTimeField, ExpressionWrapper, F, Sum
from django.db.models.functions import TruncHour

from ..batches import batches
from ..compat.queries import statement
from ..compat.schema import quoted
from ..distributed.state import is_distributed
from ..failures import failed
from ..models import Event, Message, Session, Trace
from .periods import Period
from .summaries import TOKENS


@dataclass
class Figures:
    """A figure of each part of a period and each agent that has one."""

    counts: dict[datetime, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))

    @property
    def by_agent(self) -> Counter[str]:
        """The sum of all parts."""
        return sum(self.counts.values(), Counter())


@dataclass(frozen=True)
class Source:
    """A table, what is worked out of its rows, or of its failures alone, and the column of the time."""

    model: type[models.Model]
    timestamp: str
    figures: dict[str, Any]
    failures: bool = False


SOURCES = (
    Source(Session, "created_at", {"sessions": Count("*")}),
    Source(Event, "created_at", {"events": Count("*"), "errors": Count("type", filter=failed(Event))}),
    Source(Message, "created_at", {"tokens": Sum(TOKENS)}),
    Source(Message, "created_at", {"errors": Count("*")}, failures=True),
    Source(Trace, "started_at", {"errors": Count("*")}, failures=True),
)


#: PostgreSQL expects many more groups than there are, for which it would sort all rows on disk, and compile the
#: statement at length.
_LIMITS = {"work_mem": "64MB", "jit": "off"}


@contextmanager
def grouping(using: str) -> Iterator[None]:
    """A transaction whose statements group many rows."""
    with transaction.atomic(using):
        if connections[using].vendor == "postgresql":
            with connections[using].cursor() as cursor:
                cursor.execute("; ".join(f"SET LOCAL {name} = '{value}'" for name, value in _LIMITS.items()))
        yield


def collect(using: str, source: Source, span: Period) -> dict[str, Figures]:
    """The figures of a table in a period, by name."""
    rows = source.model._default_manager.using(using).filter(
        **{f"{source.timestamp}__gte": span.start, f"{source.timestamp}__lt": span.end}
    )
    if source.failures:
        rows = rows.filter(failed(source.model))
    # MariaDB knows no time zone but UTC where nobody taught it others.
    moved = ExpressionWrapper(F(source.timestamp) + span.shift, DateTimeField()) if span.shift else source.timestamp
    hour = TruncHour(moved, tzinfo=UTC)
    owner = _owner(using, source, span)
    grouped = rows.order_by().annotate(hour=hour).values("hour", owner).annotate(**source.figures)
    found = {name: Figures() for name in source.figures}
    for each, agent_id, *values in _by_agent(using, grouped, owner, list(source.figures)):
        part = span.part_of(_aware(each) - span.shift)
        for name, value in zip(source.figures, values, strict=True):
            if value:
                found[name].counts[part][agent_id] += int(value)
    return found


def _owner(using: str, source: Source, span: Period) -> str:
    """By which column the rows are added up."""
    if source.model is Session:
        return "agent_id"
    # PostgreSQL would read all sessions for the rows of a few hours, too; for those of many days it has to.
    many = not span.hourly and not source.failures
    return "session__agent_id" if many and not is_distributed(connections[using]) else "session_id"


def _aware(hour: datetime | str) -> datetime:
    """What a database gives for the beginning of an hour: its text, or a time without a zone."""
    found = datetime.fromisoformat(hour) if isinstance(hour, str) else hour
    return found.replace(tzinfo=UTC) if found.tzinfo is None else found


def _by_agent(using: str, grouped: Any, owner: str, names: list[str]) -> Any:
    """The groups' hours, agents and figures.

    What is added up by session is so first, so that the agents of those sessions alone are looked up.
    """
    if owner != "session_id":
        return grouped.values_list("hour", owner, *names)
    if is_distributed(connections[using]):
        return _by_agent_apart(using, list(grouped.values_list("hour", owner, *names)))
    inner, parameters = statement(grouped.values_list("hour", owner, *names))
    quote = partial(quoted, connections[using])
    columns = ", ".join(quote(name) for name in ("hour", owner, *names))
    sums = ", ".join(f"SUM({quote(name)})" for name in names)
    # A join would make PostgreSQL read all sessions for a day's few. The text is of our own names only; all values are
    # parameters of the inner statement.
    sql = (
        f"WITH grouped ({columns}) AS ({inner}), owned AS (SELECT grouped.*, COALESCE((SELECT s.agent_id"  # noqa: S608
        f" FROM {quote(Session._meta.db_table)} s WHERE s.id = grouped.session_id), '') AS agent_id FROM grouped)"
        f" SELECT {quote('hour')}, agent_id, {sums} FROM owned GROUP BY {quote('hour')}, agent_id"
    )
    with connections[using].cursor() as cursor:
        cursor.execute(sql, parameters)
        return cursor.fetchall()


def _by_agent_apart(using: str, grouped: list[tuple[Any, ...]]) -> Any:
    """The same, where rows and their sessions may be on two workers: the sessions' agents are looked up by id."""
    agents: dict[str, str] = {}
    for ids in batches({owner for _, owner, *_ in grouped}):
        agents |= Session.objects.using(using).filter(pk__in=ids).values_list("pk", "agent_id")
    sums: dict[tuple[Any, str], list[int]] = {}
    for hour, owner, *values in grouped:
        so_far = sums.setdefault((hour, agents.get(owner, "")), [0] * len(values))
        so_far[:] = [total + (value or 0) for total, value in zip(so_far, values, strict=True)]
    return [(*key, *values) for key, values in sums.items()]
