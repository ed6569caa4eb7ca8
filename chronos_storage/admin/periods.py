"""The time that the overview is about: the last hours, or days, in the site's own time zone."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from typing import Any

from django import forms
from django.http import HttpRequest
from django.utils.http import urlencode
from django.utils.timezone import get_current_timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from .. import records
from .lists import SINCE, UNTIL, within_years

#: The longest period, in days; one of so many days or fewer is shown by the hour.
LONGEST, HOURLY = 92, 2
_HOUR = timedelta(hours=1)
#: How many of the last hours are shown unless another period is chosen.
_USUAL = 24


class PeriodForm(forms.Form):
    """Which days."""

    since = forms.DateField(
        label=gettext_lazy("from"), widget=forms.DateInput(attrs={"type": "date"}), validators=[within_years]
    )
    until = forms.DateField(
        label=gettext_lazy("to"), widget=forms.DateInput(attrs={"type": "date"}), validators=[within_years]
    )

    def clean(self) -> dict[str, Any]:
        given = super().clean() or self.cleaned_data
        since, until = given.get(SINCE), given.get(UNTIL)
        if since and until and not 0 <= (until - since).days < LONGEST:
            raise forms.ValidationError(
                _("Choose a period of at most %(days)d days, the first day before the last."), params={"days": LONGEST}
            )
        return given


@dataclass(frozen=True)
class Period:
    """A time, in parts of an hour or a day.

    Attributes:
        start, end: its beginning, and what no longer belongs to it, in the site's time zone.
        hourly: whether its parts are hours.
    """

    start: datetime
    end: datetime
    hourly: bool

    @property
    def zone(self) -> tzinfo:
        """The time zone."""
        assert self.start.tzinfo
        return self.start.tzinfo

    @property
    def shift(self) -> timedelta:
        """How much later than in UTC hours begin here: nothing in most time zones, half an hour in some."""
        offset = self.start.utcoffset()
        assert offset is not None
        return offset % _HOUR

    @property
    def parts(self) -> list[datetime]:
        """When each part begins."""
        if not self.hourly:
            return [_midnight(self.start.date() + timedelta(days=n), self.zone) for n in range(self._days)]
        start = self.start.astimezone(UTC)  # where no hour is twice or missing
        count = round((self.end.astimezone(UTC) - start) / _HOUR)
        return [(start + _HOUR * n).astimezone(self.zone) for n in range(count)]

    @property
    def _days(self) -> int:
        return (self.end.date() - self.start.date()).days

    def part_of(self, hour: datetime) -> datetime:
        """The part in which an hour is."""
        local = hour.astimezone(self.zone)
        return local if self.hourly else _midnight(local.date(), self.zone)

    def label(self, part: datetime) -> str:
        """What stands under a part's column, and in its row."""
        return f"{part:%Y-%m-%d %H:%M}" if self.hourly else f"{part:%Y-%m-%d}"

    def short(self, part: datetime) -> str:
        """The same, where there is little room."""
        return f"{part:%H:%M}" if self.hourly else f"{part:%m-%d}"

    def query(self, part: datetime | None = None, **parameters: str) -> str:
        """The query of a list's address that is of a part, or of all of it."""
        start, end = self.start, self.end
        if part is not None:
            start = part
            hour = (part.astimezone(UTC) + _HOUR).astimezone(self.zone)
            end = hour if self.hourly else _midnight(part.date() + timedelta(days=1), self.zone)
        # A list's times are whole seconds, the last of which belongs to it.
        times = {SINCE: start, UNTIL: end - timedelta(seconds=1)}
        given = {name: f"{each.astimezone(self.zone):%Y-%m-%dT%H:%M:%S}" for name, each in times.items()}
        return urlencode({**parameters, **given})


def period(request: HttpRequest) -> tuple[PeriodForm, Period]:
    """The form and the period it asks for; the last hours, if it asks for none or for what can't be."""
    zone = get_current_timezone()
    asked = SINCE in request.GET or UNTIL in request.GET
    now = records.now().astimezone(zone)
    form = PeriodForm(request.GET if asked else {SINCE: (now - timedelta(days=1)).date(), UNTIL: now.date()})
    if asked and form.is_valid():
        first, last = form.cleaned_data[SINCE], form.cleaned_data[UNTIL]
        days = (last - first).days + 1
        return form, Period(_midnight(first, zone), _midnight(last + timedelta(days=1), zone), hourly=days <= HOURLY)
    end = (now + _HOUR).replace(minute=0, second=0, microsecond=0)
    return form, Period((end.astimezone(UTC) - _USUAL * _HOUR).astimezone(zone), end, hourly=True)


def _midnight(day: date, zone: tzinfo) -> datetime:
    return datetime.combine(day, time(), zone)


def choices() -> list[tuple[Any, str]]:
    """The periods that are one click away: what each is called, and its query."""
    today = records.now().astimezone(get_current_timezone()).date()
    days = [(1, _("Today")), (7, _("7 days")), (30, _("30 days")), (LONGEST, _("%d days") % LONGEST)]
    return [
        (_("The last %d hours") % _USUAL, ""),
        *(
            (label, urlencode({SINCE: (today - timedelta(days=count - 1)).isoformat(), UNTIL: today.isoformat()}))
            for count, label in days
        ),
    ]
