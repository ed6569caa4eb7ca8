"""What stands for the servers and folders of the documentation's pages."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from django.contrib.auth.models import User
from django.test import Client
from rest_framework.authtoken.models import Token

from chronos_storage import upcasters
from tests.databases import new_databases, new_dynamodb, new_mongodb
from tests.documentation.pages import ROOT
from tests.documentation.running import Page


@pytest.fixture
def page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, transactional_db: None, client: Client, other_databases: None
) -> Iterator[Page]:
    """A project for a page, in a folder of its own, with a superuser whose token is known."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(ROOT / "docs" / "examples")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(upcasters, "_steps", {})
    user = User.objects.create_superuser("ada", password="secret")
    with ExitStack() as stack:
        made = Page(tmp_path, Servers(tmp_path, stack), client, stack)
        made.names |= {"TOKEN": Token.objects.create(user=user).key, "SITE": "", "user": user}
        yield made


class Servers:
    """The tests' servers and a page's folder, in the place of those that pages write down."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self.folder, self.stack = folder, stack
        #: What a page writes, longer things first, with what makes the place; most pages need none.
        self.makers: dict[str, Callable[[], str]] = {
            "postgres://agents@db/agents": self.postgres,
            "redis://:password@localhost:6379/0": lambda: server("TEST_REDIS_URL"),
            "redis://127.0.0.1:6379/1": lambda: server("TEST_REDIS_URL"),
            "localhost:6379": lambda: urlsplit(server("TEST_REDIS_URL")).netloc,
            "mongodb://localhost:27017/chronos": self.mongodb,
            "dynamodb://us-east-1/chronos": self.dynamodb,
            "/srv/": lambda: f"{folder}/",
            "/etc/chronos/": lambda: f"{folder}/",
            "/var/lib/": lambda: f"{folder}/",
        }
        self.made: dict[str, str] = {}

    def __call__(self, text: str) -> str:
        """The text with the places that are there."""
        for written, make in self.makers.items():
            if written in text:
                if written not in self.made:
                    self.made[written] = make()
                text = text.replace(written, self.made[written])
        return text

    def database(self, settings: dict[str, Any]) -> dict[str, Any]:
        """A database's settings, with the server that is there."""
        if not settings["ENGINE"].endswith("postgresql"):
            return settings
        there = urlsplit(server("TEST_POSTGRES_URL"))
        place = {"NAME": there.path[1:], "USER": there.username, "HOST": there.hostname, "PORT": there.port}
        return {**settings, **place}

    def postgres(self) -> str:
        server("TEST_POSTGRES_URL")
        [address] = self.stack.enter_context(new_databases("postgres", self.folder))
        return address

    def mongodb(self) -> str:
        server("TEST_MONGODB_URL")
        uri, name = self.stack.enter_context(new_mongodb())
        return urlsplit(uri)._replace(path=f"/{name}").geturl()

    def dynamodb(self) -> str:
        server("TEST_DYNAMODB_URL")
        url, table = new_dynamodb()
        return urlsplit(url)._replace(path=f"/{table}").geturl()


def server(variable: str) -> str:
    """The address of one of the tests' servers; a page of one that is not installed is left out."""
    return os.environ.get(variable) or pytest.skip(f"{variable}: the server is not installed")
