"""System checks: whether the saver and the store have a database, and their tables in it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.apps import apps
from django.core import checks
from django.core.checks import CheckMessage, Tags, register
from django.db import connections, router

from ...migrated import remedy
from .models import Thread


@register(Tags.compatibility)
def check_storage(**kwargs: Any) -> list[CheckMessage]:
    config: Any = apps.get_app_config("chronos_storage")
    if not (name := config.unseen_store):
        return []
    return [
        checks.Warning(
            f"ChronosSaver() and ChronosStore() need a Django database, and the default storage is a {name}.",
            hint='Give them another of the settings: ChronosSaver(storages["…"]).',
            id="chronos_langgraph.W001",
        )
    ]


@register(Tags.database)
def check_tables(*, databases: Iterable[str] | None = None, **kwargs: Any) -> list[CheckMessage]:
    # No error: that would keep migrate, which makes them, from running.
    return [
        checks.Warning(
            f"In the database {alias!r} these tables of LangGraph's are missing: {', '.join(missing)}.",
            hint=f"For ChronosSaver and ChronosStore: {remedy(alias)}.",
            id="chronos_langgraph.W002",
        )
        for alias in databases or ()
        if (missing := _missing(alias))
    ]


def _missing(using: str) -> list[str]:
    """The tables that are not there, where those of the sessions are and a router lets them be."""
    if not router.allow_migrate_model(using, Thread):
        return []
    with connections[using].cursor() as cursor:
        there = connections[using].introspection.table_names(cursor)
    session = apps.get_model("chronos_storage", "Session")._meta.db_table
    models = apps.get_app_config("chronos_langgraph").get_models()
    return sorted({model._meta.db_table for model in models} - set(there)) if session in there else []
