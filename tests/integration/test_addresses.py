"""Addresses that `connect` refuses, and that none shows its password."""

from __future__ import annotations

import re
import traceback
from pathlib import Path
from typing import Any

import pytest
from django.db import connections

from chronos_storage import connect
from chronos_storage.config import Place
from chronos_storage.dsn import shown
from chronos_storage.exceptions import ConfigurationError


@pytest.mark.parametrize(
    ("dsn", "right"),
    [
        ("sqlite://notes.db", "sqlite:///notes.db"),
        ("sqlite://data/notes.db", "sqlite:///data/notes.db"),
        ("sqlite:notes.db", "sqlite://…"),
        ("localhost:6379", "redis://localhost:6379"),
        ("localhost:6379/0", "redis://localhost:6379/0"),
        ("127.0.0.1:5432", "postgres://127.0.0.1:5432"),
        ("ada:geheim@localhost:5432", "postgres://ada:***@localhost:5432"),
        ("memory", "memory:// or :memory:"),
        ("redis", "redis://…"),
        ("us-east-1", "dynamodb://us-east-1/table"),
        ("host=localhost password=geheim", "postgres://user"),
        ("host=localhost password='ge heim' user=ada", "postgres://user"),
        ("password=geheim host=localhost", "postgres://user"),
        ("Server=localhost;Password=geheim", "postgres://user"),
        ("postgres//ada:geheim@localhost/db", "postgres://…"),
        ("ada:geheim@localhost/db", "postgres://ada:***@localhost/db"),
        ("redis:6379", "redis://redis:6379"),
        ("filesystem", "file:///folder"),
        ("file:data", "file:///folder"),
        ("file:///", "file:///folder"),
        ("file://data/agents", "file:///folder"),
        ("file:///data?mode=ro", "%3F"),
        ("", "is empty"),
        (None, "must be a string, not NoneType"),
    ],
)
def test_an_address_that_would_become_another_store_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, dsn: Any, right: str
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigurationError) as refused:
        connect(dsn)
    assert right in str(refused.value)
    assert "heim" not in str(refused.value)
    assert list(tmp_path.iterdir()) == []


def test_a_file_in_the_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    for dsn in ("~/a/notes.db", "sqlite:///~/a/notes.db"):
        storage: Any = connect(dsn)
        assert connections[storage.alias].settings_dict["NAME"] == str(tmp_path / "a/notes.db")
    assert [path.name for path in tmp_path.iterdir()] == ["a"]
    assert Place("sqlite", "~/a/notes.db").missing_file is not None
    (tmp_path / "a/notes.db").touch()
    assert Place("sqlite", "~/a/notes.db").missing_file is None


@pytest.mark.parametrize(
    "dsn",
    [
        "postgres://ada:geheim@host/db",
        "postgres://host/db?user=ada&password=geheim&sslmode=require",
        "postgres://host/db?sslmode=require&sslpassword=geh@eim",
        "postgres://ada:geh/eim@host:5432/db",
        "postgres://ada:geh#eim@host/db",
        "postgres://ada:908?geheim@host/db",
        "postgres://:geheim@ho[st/db",
        "nonsense://ada:geheim@host/db",
    ],
)
def test_no_password_of_an_address_is_shown(dsn: str) -> None:
    texts = [shown(dsn), repr(Place("postgres", dsn)), Place("postgres", dsn).shown]
    try:
        store = connect(dsn)
    except ConfigurationError as error:
        texts.append("".join(traceback.format_exception(error)).replace(f'connect("{dsn}")', ""))
    else:
        texts += [repr(store), store.alias, repr(connections[store.alias])]
    for text in texts:
        assert not re.search("geh|eim|908", text), text


@pytest.mark.parametrize(
    ("query", "pool"),
    [
        ("pool_max_size=20", {"min_size": 4, "max_size": 20}),
        ("pool_max_conns=2&sslmode=require", {"min_size": 2, "max_size": 2}),
        ("pool_min_size=0&pool_max_size=3", {"min_size": 0, "max_size": 3}),
        ("pool_min_conns=3", {"min_size": 3}),
        ("sslmode=require", None),
    ],
)
def test_an_address_says_how_large_a_pool_of_connections_is(query: str, pool: dict[str, int] | None) -> None:
    storage: Any = connect(f"postgres://ada@127.0.0.1:1/x?{query}")
    options = connections[storage.alias].settings_dict["OPTIONS"]
    assert options.get("pool") == pool
    assert [name for name in options if name.startswith("pool_")] == []


@pytest.mark.parametrize(
    ("dsn", "problem"),
    [
        ("postgres://h/x?pool_max_size=many", "pool_max_size must be a number"),
        ("postgres://h/x?pool_max_size=0", "at least 1"),
        ("postgres://h/x?pool_min_size=3&pool_max_size=2", "its smallest, 3"),
        ("postgres://h/x?pool_size=2", "pool_max_size"),
        ("mysql://h/x?pool_max_size=2", "only a postgres:// address"),
        ("sqlite:///x.db?pool_max_size=2", "only a postgres:// address"),
    ],
)
def test_a_pool_that_can_t_be_is_refused(
    dsn: str, problem: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigurationError, match=problem):
        connect(dsn)
    assert list(tmp_path.iterdir()) == []
