"""How the admin's templates write values."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import Any

from django import template
from django.apps import apps
from django.urls import NoReverseMatch, reverse
from django.utils.timezone import localtime
from django.utils.translation import ngettext

from .. import conf
from ..text import name, visible

register = template.Library()

register.filter("visible", visible)
register.filter("shortened", name)

_KNOWN = frozenset({"active", "running", "paused", "completed", "failed", "ended"})


@register.inclusion_tag("admin/chronos_storage/unseen.html")
def unseen() -> dict[str, str]:
    """Says that what is stored isn't shown here, where that is so, and where it is."""
    try:
        api = reverse("chronos_storage_api:root")
    except NoReverseMatch:
        api = ""
    config: Any = apps.get_app_config("chronos_storage")
    return {"store": config.unseen_store, "api": api}


@register.simple_tag
def token_budget() -> int | None:
    """How many tokens a session may take before it is marked."""
    return conf.token_budget()


@register.filter
def status_class(status: str) -> str:
    """A status, if it is one of the known ones; else "other"."""
    return status if status in _KNOWN else "other"


@register.filter
def clock(timestamp: datetime) -> str:
    """A time to the millisecond, in the current time zone."""
    local = localtime(timestamp)
    return f"{local:%Y-%m-%d %H:%M:%S}.{local.microsecond // 1000:03}"


@register.filter
def duration(value: timedelta) -> str:
    """A duration in the two units that tell most."""
    seconds = value.total_seconds()
    if seconds < 0.001:
        return f"{seconds * 1_000_000:.0f} µs"
    if seconds < 1:
        return f"{seconds * 1000:.3g} ms" if seconds < 0.9995 else "1 s"
    if seconds < 60:
        return f"{seconds:.3g} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    hours, minutes = divmod(minutes, 60)
    if hours < 24:
        return f"{hours} h {minutes} min"
    days, hours = divmod(hours, 24)
    return ngettext("%(days)d day %(hours)d h", "%(days)d days %(hours)d h", days) % {"days": days, "hours": hours}


@register.filter
def grouped(value: int) -> str:
    """A whole number, its digits in groups of three that no language writes another way."""
    return f"{value:,}".replace(",", "\N{NARROW NO-BREAK SPACE}")


@register.filter
def unlocalized(value: Any) -> str:
    """A number as SVG and addresses have it, whatever the language."""
    return str(value)


@register.filter
def as_json(value: Any) -> str:
    """A value of JSON, laid out."""
    return visible(json.dumps(value, ensure_ascii=False, indent=2))
