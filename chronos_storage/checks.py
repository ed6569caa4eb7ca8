"""System checks: what would make the storage lose, refuse or delay what it is given."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.apps import apps
from django.conf import settings
from django.core import checks
from django.core.checks import CheckMessage, Error, Tags, register
from django.db import connections

from . import conf, reach
from .async_threads import size_for
from .backends.handler import DEFAULT_ALIAS, AliasHandler
from .compat.connections import settings_of
from .exceptions import ConfigurationError
from .facade.stores import storages
from .operations import retention
from .pools import largest_pool
from .queues.base import EventQueue
from .queues.handler import queue_handler
from .redaction import hooks
from .sqlite_files import in_memory


@register(Tags.compatibility)
def check_time_zones(**kwargs: Any) -> list[CheckMessage]:
    if settings.USE_TZ:
        return []
    return [
        Error(
            "chronos_storage keeps aware times, and USE_TZ is False.",
            hint="Set USE_TZ = True.",
            id="chronos_storage.E001",
        )
    ]


@register(Tags.compatibility)
def check_database_time_zones(**kwargs: Any) -> list[CheckMessage]:
    return [
        checks.Warning(
            f"The database {alias!r} keeps the local times of {zone}.",
            hint="Leave TIME_ZONE out of DATABASES: when clocks go back, times an hour apart are kept as the same.",
            id="chronos_storage.W002",
        )
        for alias in connections
        if (zone := settings_of(connections[alias])["TIME_ZONE"]) not in (None, "UTC")
        and connections[alias].vendor != "postgresql"
    ]


@register(Tags.compatibility)
def check_setting(**kwargs: Any) -> list[CheckMessage]:
    configured = conf.configured()
    if not isinstance(configured, dict):
        return [_no_dict(conf.NAME)]
    messages = _unknown_keys(conf.NAME, configured, conf.SECTIONS)
    options = [message for name in conf.OPTIONS for message in _check_options(name)]
    return messages + check_section(storages) + options


def _check_options(name: str) -> list[CheckMessage]:
    where, given, known = f'{conf.NAME}["{name}"]', conf.section(name), conf.OPTIONS[name]
    if not isinstance(given, dict):
        return [_no_dict(where)]
    messages = _unknown_keys(where, given, tuple(known))
    for key, kind in known.items():
        if key in given and type(given[key]) is not kind:
            problem = f"be {kind.__name__}, not {type(given[key]).__name__}"
        elif kind is int and given.get(key, 1) < 1:
            problem = f"be at least 1, not {given[key]}"
        else:
            continue
        messages.append(Error(f'{where}["{key}"] must {problem}.', id="chronos_storage.E005"))
    return messages


@register(Tags.compatibility)
def check_queue(**kwargs: Any) -> list[CheckMessage]:
    if not isinstance(conf.configured(), dict):  # which check_setting says
        return []
    where, section = queue_handler.where(DEFAULT_ALIAS), conf.section(queue_handler.section)
    if not isinstance(section, dict):
        return [_no_dict(where)]
    messages = _unknown_keys(where, section, ("BACKEND", "OPTIONS", "PUBLISH_EVENTS"))
    if not isinstance(section.get("PUBLISH_EVENTS", False), bool):
        messages.append(Error(f'{where}["PUBLISH_EVENTS"] must be True or False.', id="chronos_storage.E005"))
    try:
        queue = queue_handler.only
    except ConfigurationError as error:
        return [*messages, Error(f"{error}.", id="chronos_storage.E004")]
    return messages + (_check_outbox(queue) if section.get("PUBLISH_EVENTS") else [])


def _check_outbox(queue: EventQueue) -> list[CheckMessage]:
    """Whether each storage's events can be published in the transaction that appends them."""
    from .facade import Storage
    from .queues import outbox

    messages: list[CheckMessage] = []
    for alias in storages:
        found = _made(storages, alias)
        if not isinstance(found, Storage):
            continue
        if found.backend.using is None:
            messages.append(
                checks.Warning(
                    f"{storages.where(alias)} is no Django database: its events are not published on the queue.",
                    hint="Turn PUBLISH_EVENTS off, or publish what others are to hear of yourself.",
                    id="chronos_storage.W007",
                )
            )
        elif not outbox.shares_transactions(queue, found.alias):
            messages.append(
                Error(
                    f"{storages.where(alias)}: {outbox.mismatch(found.alias)}.",
                    hint="Give both the same USING, or turn PUBLISH_EVENTS off.",
                    id="chronos_storage.E006",
                )
            )
    return messages


@register(Tags.files)
def check_artifacts(**kwargs: Any) -> list[CheckMessage]:
    """Whether there is a place for the bytes of artifacts."""
    if not isinstance(conf.configured(), dict) or not isinstance(conf.section("ARTIFACTS"), dict):
        return []  # which check_setting says
    alias = conf.artifact_storage()
    if alias in settings.STORAGES:
        return []
    where = f'{conf.NAME}["ARTIFACTS"]["STORAGE"]'
    return [Error(f"{where} names {alias!r}, which STORAGES has not.", id="chronos_storage.E004")]


@register(Tags.security)
def check_redaction(**kwargs: Any) -> list[CheckMessage]:
    """Whether each hook that is to see what is written can be called."""
    if not isinstance(conf.configured(), dict):  # which check_setting says
        return []
    try:
        hooks()
    except ConfigurationError as error:
        return [Error(f"{error}.", id="chronos_storage.E004")]
    return []


@register(Tags.compatibility)
def check_retention(**kwargs: Any) -> list[CheckMessage]:
    """Whether each rule of what is removed by age says something."""
    if not isinstance(conf.configured(), dict):  # which check_setting says
        return []
    return [Error(problem, id="chronos_storage.E005") for problem in retention.problems()]


@register(Tags.compatibility)
def check_autocommit(**kwargs: Any) -> list[CheckMessage]:
    """Whether each call of a store is committed as it ends; from without, nobody would know."""
    if not isinstance(conf.configured(), dict):  # which check_setting says
        return []
    return [
        Error(
            f"The database {database!r} has AUTOCOMMIT set to False: what a store writes would not be committed.",
            hint="Leave AUTOCOMMIT out of DATABASES; what belongs together goes into atomic().",
            id="chronos_storage.E009",
        )
        for database in dict.fromkeys(database for _, _, database, _ in reach.in_databases())
        if database in connections and not settings_of(connections[database])["AUTOCOMMIT"]
    ]


@register(Tags.compatibility)
def check_async_connections(**kwargs: Any) -> list[CheckMessage]:
    """Whether asynchronous calls get as many connections as they have threads."""
    if not isinstance(conf.configured(), dict):  # which check_setting says
        return []
    where = f'{conf.NAME}["ASYNC_CONNECTIONS"]'
    given: Any = conf.configured().get("ASYNC_CONNECTIONS", conf.ASYNC_CONNECTIONS)
    by_alias = given if isinstance(given, dict) else {None: given}
    if unknown := [alias for alias in by_alias if alias is not None and alias not in connections]:
        problem = f"names {', '.join(map(repr, unknown))}, which DATABASES has not"
        return [Error(f"{where} {problem}.", id="chronos_storage.E004")]
    if not all(type(size) is int and size >= 0 for size in by_alias.values()):
        problem = f"must be a number of connections, or a dict of one for each database, not {given!r}"
        return [Error(f"{where} {problem}.", id="chronos_storage.E005")]
    return [
        checks.Warning(
            f"The pool of the database {database!r} has {most} connections, and asynchronous calls take up to {size}.",
            hint=f'Give it a larger "max_size", as requests need some too, or {where} a smaller number.',
            id="chronos_storage.W005",
        )
        for database in dict.fromkeys(database for _, _, database, _ in reach.in_databases())
        if database in connections
        and (most := largest_pool(settings_of(connections[database]))) is not None
        and most < (size := size_for(database))
    ]


def _made(handler: AliasHandler[Any], alias: str = DEFAULT_ALIAS) -> object:
    try:
        return handler[alias]
    except ConfigurationError:  # which check_setting says
        return None


def check_section(handler: AliasHandler[Any]) -> list[CheckMessage]:
    """What is wrong with the entries of one section."""
    if not isinstance(conf.configured(), dict):  # which check_setting says
        return []
    where = f'{conf.NAME}["{handler.section}"]'
    entries = conf.section(handler.section)
    if not isinstance(entries, dict):
        return [_no_dict(where)]
    messages: list[CheckMessage] = []
    for alias, entry in entries.items():
        if not isinstance(entry, dict):
            messages.append(_no_dict(f'{where}["{alias}"]'))
            continue
        messages += _unknown_keys(f'{where}["{alias}"]', entry, ("BACKEND", "OPTIONS"))
        try:
            handler[alias]
        except ConfigurationError as error:
            messages.append(Error(f"{error}.", id="chronos_storage.E004"))
    return messages


def _no_dict(where: str) -> CheckMessage:
    return Error(f"{where} must be a dict.", id="chronos_storage.E002")


def _unknown_keys(where: str, given: dict[str, Any], known: tuple[str, ...]) -> list[CheckMessage]:
    return [
        Error(f"{where} has the unknown key {key!r}.", hint=f"It knows {', '.join(known)}.", id="chronos_storage.E003")
        for key in given
        if key not in known
    ]


@register(Tags.compatibility)
def check_sqlite(**kwargs: Any) -> list[CheckMessage]:
    messages: list[CheckMessage] = []
    for alias in connections:
        connection = connections[alias]
        if connection.vendor != "sqlite" or in_memory(connection):
            continue
        options = settings_of(connection)["OPTIONS"]
        lacking = []
        if "wal" not in str(options.get("init_command", "")).lower():
            lacking.append('"init_command": "PRAGMA journal_mode=WAL;"')
        if str(options.get("transaction_mode", "")).upper() != "IMMEDIATE":
            lacking.append('"transaction_mode": "IMMEDIATE"')
        if "timeout" not in options:
            lacking.append('"timeout": 30')
        if lacking:
            messages.append(
                checks.Warning(
                    f"The SQLite database {alias!r} will often be locked when several processes write.",
                    hint=f"Add to its OPTIONS in DATABASES: {', '.join(lacking)}.",
                    id="chronos_storage.W001",
                )
            )
    return messages


@register(Tags.database)
def check_triggers(*, databases: Iterable[str] | None = None, **kwargs: Any) -> list[CheckMessage]:
    from .ledger import triggers

    # No error: that would keep migrate, which makes them, from running.
    return [
        checks.Warning(
            f"In the database {alias!r} these triggers or functions are missing or outdated: {', '.join(missing)}.",
            hint="Run migrate: it makes them.",
            id="chronos_storage.W003",
        )
        for alias in databases or ()
        if (missing := triggers.missing(alias))
    ]


@register(Tags.database)
def check_distribution(*, databases: Iterable[str] | None = None, **kwargs: Any) -> list[CheckMessage]:
    from .ledger.delegation import undistributed

    return [
        checks.Warning(
            f"The database {alias!r} has Citus, and not on its workers are: {', '.join(found)}.",
            hint=f"Run chronos_distribute --database {alias}.",
            id="chronos_storage.W008",
        )
        for alias in databases or ()
        if (found := undistributed(alias))
    ]


@register(Tags.database)
def check_walks(*, databases: Iterable[str] | None = None, **kwargs: Any) -> list[CheckMessage]:
    from .backends.orm.walks import cost_against_walks

    return [
        checks.Warning(
            f"PostgreSQL sorts all sessions in the database {alias!r} for each page of a list, as its random_page_cost"
            f" is {cost:g}.",
            hint="On an SSD, or where the tables fit into memory: ALTER DATABASE … SET random_page_cost = 1.1.",
            id="chronos_storage.W006",
        )
        for alias in databases or ()
        if (cost := cost_against_walks(alias)) is not None
    ]


@register(Tags.compatibility)
def check_reach(**kwargs: Any) -> list[CheckMessage]:
    if not isinstance(conf.configured(), dict):  # which check_setting says
        return []
    return [
        checks.Info(
            f"{found.text}, which migrate does not reach by itself.", hint=found.remedy, id="chronos_storage.I001"
        )
        for found in reach.elsewhere()
    ]


@register(Tags.admin)
def check_admin(**kwargs: Any) -> list[CheckMessage]:
    """Whether the admin's pages show what the stores of the settings keep."""
    if not apps.is_installed("django.contrib.admin") or not isinstance(conf.configured(), dict):
        return []
    return [
        checks.Warning(
            f"The admin shows a database, and {handler.where(DEFAULT_ALIAS)} keeps nothing in one.",
            hint=hint,
            id="chronos_storage.W004",
        )
        for handler, hint in (
            (storages, "The REST API serves what it keeps: chronos_storage.api.urls."),
            (queue_handler, "What it keeps can be seen through the queue, and the REST API."),
        )
        if _made(handler) is not None and reach.database_of(handler, DEFAULT_ALIAS) is None
    ]
