"""Addresses that `connect` refuses, and that none shows its password."""

from __future__ import annotations

import re
import traceback
from pathlib import Path

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
        ("", "is empty"),
    ],
)
def test_an_address_that_would_become_another_store_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, dsn: str, right: str
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigurationError) as refused:
        connect(dsn)
    assert right in str(refused.value)
    assert "geheim" not in str(refused.value)
    assert list(tmp_path.iterdir()) == []


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
        texts += [repr(store), store.alias, repr(connections[store.alias])]  # type: ignore[attr-defined]
    for text in texts:
        assert not re.search("geh|eim|908", text), text
