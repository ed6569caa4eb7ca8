"""Lists that cost the same however many rows there are: searched by indexes, paged by keys, never counted."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import MAXYEAR, date, datetime, timedelta
from functools import reduce
from operator import and_
from types import MappingProxyType
from typing import Any, ClassVar

from django import forms
from django.db.models import Q
from django.db.models.expressions import OrderBy
from django.db.models.query import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from .. import codec, records
from ..backends.orm.conditions import starts_with
from ..keyset import After, from_json, to_json
from ..templatetags.chronos_storage import clock
from .columns import label
from .compat import IncorrectLookupParameters, PagedChangeList
from .previews import column_of, previewed, shorten

AFTER, BEFORE = "after", "before"
#: How many rows are shown of an order that is worked out.
RANKED = 50
#: Of how long a time the rows are that something is worked out of, unless another is chosen.
USUAL = timedelta(days=7)
PREFIX, SINCE, UNTIL = "prefix", "since", "until"


def within_years(value: date) -> None:
    """Refuse a time beside which another zone, or a time a while before or after it, has none that Python knows."""
    if not 1 < value.year < MAXYEAR:
        raise forms.ValidationError(_("Choose a year from 2 to %(last)d."), params={"last": MAXYEAR - 1})


class LookupForm(forms.Form):
    """The fields above a list: what a column is equal to or begins with, and the time.

    Attributes:
        columns: the columns that can be looked up, each the first of an index.
        narrowed: columns without an index, which are looked up among the rows that one of the others finds; each with
            its values, where they are few.
        timestamp: the column that `since` and `until` (inclusive) are about; empty if there is none.
    """

    columns: tuple[str, ...] = ()
    narrowed: Mapping[str, tuple[str, ...]] = MappingProxyType({})
    timestamp: str = ""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name in self.columns:
            self.fields[name] = forms.CharField(
                label=label(name), required=False, strip=False, max_length=codec.MAX_INDEXED
            )
        if self.columns:
            self.fields[PREFIX] = forms.MultipleChoiceField(
                label=_("begins with"), required=False, choices=[(name, label(name)) for name in self.columns]
            )
        for name, values in self.narrowed.items():
            text: dict[str, Any] = {"strip": False, "max_length": codec.MAX_INDEXED}
            chosen: dict[str, Any] = {"choices": [("", "–"), *((value, value) for value in values)]}
            kind, options = (forms.ChoiceField, chosen) if values else (forms.CharField, text)
            self.fields[name] = kind(label=label(name), required=False, **options)
        if self.timestamp:
            for name, title in ((SINCE, _("since")), (UNTIL, _("until"))):
                widget = forms.DateTimeInput(attrs={"type": "datetime-local", "step": "1"}, format="%Y-%m-%dT%H:%M:%S")
                self.fields[name] = forms.DateTimeField(
                    label=title, required=False, widget=widget, validators=[within_years]
                )

    def clean(self) -> dict[str, Any]:
        given = self.cleaned_data
        if (until := given.get(UNTIL)) and not until.microsecond:
            given[UNTIL] = until.replace(microsecond=999_999)  # a second that is typed belongs to it
        if not any(given.get(name) for name in (*self.columns, SINCE)):
            names = " / ".join(str(label(name)) for name in self.columns)
            for name in self.narrowed:
                if given.get(name):
                    self.add_error(name, _("Give one of these too: %s") % names)
        return given

    @property
    def lookups(self) -> list[tuple[forms.BoundField, bool]]:
        """Each column's field, and whether it is what the column begins with."""
        prefixes = self.data.getlist(PREFIX) if hasattr(self.data, "getlist") else ()
        return [(self[name], name in prefixes) for name in self.columns]

    @property
    def others(self) -> list[forms.BoundField]:
        """The other columns' fields, and those of the time."""
        return [self[name] for name in (*self.narrowed, *((SINCE, UNTIL) if self.timestamp else ()))]

    @property
    def given(self) -> dict[str, Any]:
        """What was asked for, to be written down."""
        return {
            name: value.isoformat() if isinstance(value, datetime) else value
            for name, value in self.cleaned_data.items()
            if value
        }

    @property
    def is_narrow(self) -> bool:
        """Whether what is asked for is of some rows alone, however many there are."""
        return self.is_valid() and any(self.cleaned_data.get(name) for name in (*self.columns, SINCE))

    @property
    def condition(self) -> Q:
        """Which rows are meant; none, if what was typed is no time or nothing that is stored."""
        if not self.is_valid():
            return Q(pk__in=[])
        given = self.cleaned_data
        parts = [self.of_columns]
        if given.get(SINCE):
            parts.append(Q(**{f"{self.timestamp}__gte": given[SINCE]}))
        if given.get(UNTIL):
            parts.append(Q(**{f"{self.timestamp}__lte": given[UNTIL]}))
        return reduce(and_, parts, Q())

    @property
    def of_columns(self) -> Q:
        """What the columns are to hold, apart from the time."""
        given = self.cleaned_data
        parts = [
            starts_with(name, given[name]) if name in given[PREFIX] else Q(**{name: given[name]})
            for name in self.columns
            if given[name]
        ]
        parts += [Q(**{name: given[name]}) for name in self.narrowed if given[name]]
        return reduce(and_, parts, Q())


class KeysetChangeList(PagedChangeList):
    """A list that pages by the last row shown, and leaves in the database what may be large."""

    #: The parameters that are not lookups of Django's own.
    ours: ClassVar[tuple[str, ...]] = (AFTER, BEFORE)
    lookup_form: LookupForm
    #: Which rows these are, where they are not all.
    note: str = ""
    next_page: str | None = None
    previous_page: str | None = None

    @property
    def list_names(self) -> list[str]:
        """The names of the columns shown."""
        return [name if isinstance(name, str) else name.__name__ for name in self.list_display]

    def own_parameters(self) -> set[str]:
        form = self.model_admin.lookup_form_class
        return {*self.ours, *form.columns, *form.narrowed, PREFIX, *([SINCE, UNTIL] if form.timestamp else [])}

    def get_ordering_field(self, field_name: Any) -> Any:
        name = field_name if isinstance(field_name, str) else field_name.__name__
        if name in self.model_admin.ranked:
            known = self.model_admin.rankings
            # The most first, as that is what is looked for.
            return OrderBy(known[name], descending=True, nulls_last=True) if name in known else None
        return super().get_ordering_field(field_name)

    def chosen(self, request: HttpRequest, rows: QuerySet[Any]) -> QuerySet[Any]:
        self.lookup_form = self.model_admin.lookup_form_class(request.GET)
        self.is_ranked = not isinstance(rows.query.order_by[0], str)
        #: All rows that the list shows on its pages.
        self.rows = rows.filter(self.lookup_form.condition)
        if self.is_ranked and not self.lookup_form.is_narrow:
            since = records.now() - USUAL
            self.note = _("The first %(count)d since %(since)s.") % {"count": RANKED, "since": clock(since)[:-4]}
            self.rows = self.rows.filter(**{f"{self.lookup_form.timestamp}__gte": since})
        return previewed(self.rows, {*self.list_names, *self.model_admin.list_previews})

    def total_order(self, first: str) -> list[str]:
        # One column and the primary key, in one direction: an order that one condition can go on from.
        sign = "-" if first.startswith("-") else ""
        names = [name for name in (first.removeprefix("-"), "pk") if name not in ("id", self.key)]
        return [f"{sign}{name}" for name in dict.fromkeys(names)]

    def page(self, request: HttpRequest, rows: QuerySet[Any]) -> list[Any]:
        order = self.get_ordering(request, rows)
        if not isinstance(order[0], str):  # worked out row by row: no condition goes on from it
            ranked = list(rows[:RANKED])
            for row in ranked:
                shorten(row)
            return ranked
        columns = [name.removeprefix("-") for name in order]
        ways = ("lt", "gt") if order[0].startswith("-") else ("gt", "lt")
        after, before = (self._position(request, name, columns) for name in (AFTER, BEFORE))
        if before is not None:
            rows = rows.filter(After(columns, before, ways[1])).reverse()
        elif after is not None:
            rows = rows.filter(After(columns, after, ways[0]))
        found = list(rows[: self.list_per_page + 1])
        more, page = len(found) > self.list_per_page, found[: self.list_per_page]
        if before is not None:
            page.reverse()
        for row in page:
            shorten(row)
        if page and (more if before is None else True):
            self.next_page = self._link(AFTER, columns, page[-1])
        if page and (after is not None or (before is not None and more)):
            self.previous_page = self._link(BEFORE, columns, page[0])
        return page

    def _position(self, request: HttpRequest, name: str, columns: list[str]) -> tuple[Any, ...] | None:
        text = request.GET.get(name)
        if text is None:
            return None
        try:
            return from_json([column_of(self.model, column) for column in columns], json.loads(text))
        except (ValueError, RecursionError) as error:
            raise IncorrectLookupParameters(error) from error

    def _link(self, name: str, columns: list[str], row: Any) -> str:
        text = json.dumps(to_json(getattr(row, column) for column in columns))
        return self.link({name: text}, remove=[AFTER, BEFORE])

    @property
    def first_page(self) -> str:
        """The address of the list's beginning."""
        return self.link(remove=[AFTER, BEFORE])

    @property
    def kept(self) -> list[tuple[str, str]]:
        """What the form above the list does not ask for, and is to stay as it is."""
        form = {*self.ours, "q", "p", "e", "_facets", *self.lookup_form.fields}
        return [(name, value) for name, values in self.given.items() if name not in form for value in values]
