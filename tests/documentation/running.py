"""Runs a page's blocks as its reader would: one after the other, in one project."""

from __future__ import annotations

import ast
import contextlib
import inspect
import io
import json
import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from copy import deepcopy
from importlib import import_module
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any, Protocol

import pytest
from asgiref.sync import async_to_sync
from django.conf import settings
from django.core.checks import ERROR, run_checks
from django.core.management import CommandError, call_command
from django.db import connections
from django.db.utils import ConnectionHandler
from django.test import Client, override_settings

from chronos_storage import config
from tests.documentation.curl import send
from tests.documentation.pages import ROOT, Block

#: What stands in a project's settings, and in its URLs, before a page adds to it.
ADDED_TO = {"INSTALLED_APPS", "MIDDLEWARE", "REST_FRAMEWORK", "CACHES", "STORAGES"}


class Places(Protocol):
    """What is there instead of the servers and folders that pages write down."""

    def __call__(self, text: str) -> str:
        """A page's text, with the places that are there."""

    def database(self, settings: dict[str, Any]) -> dict[str, Any]:
        """A database's settings, with the server that is there."""


class Page:
    """A page that is being run, in a folder of its own.

    `places` puts servers and folders that are there into a text, instead of those that the page writes down.
    """

    def __init__(self, folder: Path, places: Places, client: Client, stack: ExitStack) -> None:
        self.folder = folder
        self.places = places
        self.client = client
        self.stack = stack
        self.names: dict[str, Any] = {
            "__name__": "a_page",
            "BASE_DIR": folder,
            "urlpatterns": [],
            "Path": Path,
            "client": client,
            **{name: deepcopy(getattr(settings, name, {})) for name in ADDED_TO},
        }
        #: What the blocks have printed since somebody looked.
        self.printed = ""

    def run_all(self, blocks: list[Block]) -> None:
        """Run blocks in their order; those that are files are there from the beginning."""
        for block in blocks:
            if block.is_module:
                self.write(block)
        for block in blocks:
            if not block.why_not and block.language != "text":
                self.run(block)

    def run(self, block: Block) -> None:
        """Run a block, by its language."""
        block = Block(block.page, block.line, block.language, self.places(block.text))
        runners: dict[str, Callable[[Block], None]] = {
            "python": self.python,
            "hidden": self.python,
            "console": self.console,
            "yaml": self.yaml,
            "json": self.json,
        }
        runners[block.language](block)

    def python(self, block: Block) -> None:
        """Code; what it assigns to settings and URLs is the project's from then on."""
        before = {name: deepcopy(value) for name, value in self.names.items() if name in ADDED_TO}
        urls = list(self.names["urlpatterns"])
        known = {name: id(value) for name, value in self.names.items()}
        self.names["printed"] = self.printed
        if block.is_module:
            self.names |= vars(import_module(module_of(block)))
        else:
            self.execute(block)
        changed = {
            name: value
            for name, value in self.names.items()
            if name.isupper() and (before[name] != value if name in before else known.get(name) != id(value))
        }
        self.configure(changed)
        if self.names["urlpatterns"] != urls:
            urls_of_page = ModuleType("urls_of_page")
            patterns = [*self.names["urlpatterns"], *import_module("tests.urls").urlpatterns]
            urls_of_page.__dict__["urlpatterns"] = patterns
            self.stack.enter_context(override_settings(ROOT_URLCONF=urls_of_page))

    def execute(self, block: Block) -> None:
        try:
            code = compile(block.source, block.page, "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, dont_inherit=True)
        except SyntaxError:
            # an entry of a dictionary
            self.names["entry"] = eval(compile(f"{{{block.text}}}", block.page, "eval"), self.names)
            return
        with contextlib.redirect_stdout(io.StringIO()) as printed:
            result = eval(code, self.names)
            if inspect.iscoroutine(result):
                async_to_sync(_finished)(result)
        self.printed = printed.getvalue()
        for shown in _said(code, block.text):
            assert shown in self.printed.splitlines(), f"{shown!r} is not among what was printed: {self.printed}"

    def write(self, block: Block) -> None:
        """A file of the project."""
        path = self.folder / block.file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(self.places(block.text), encoding="utf-8")
        self.stack.callback(sys.modules.pop, module_of(block), None)

    def configure(self, changed: dict[str, Any]) -> None:
        """Settings, which are those of the rest of the page, and in which Django's checks find no error."""
        self.add_databases(changed.pop("DATABASES", {}))
        if not changed:
            return
        for name in {"INSTALLED_APPS", "MIDDLEWARE"} & changed.keys():
            changed[name] = list(dict.fromkeys(changed[name]))
        self.stack.enter_context(override_settings(**changed))
        found = [each for each in run_checks(databases=[]) if each.level >= ERROR]
        assert not found, found

    def add_databases(self, databases: dict[str, Any]) -> None:
        """Databases that can be opened; all but the default one are the project's from then on."""
        there = {alias: self.places.database(database) for alias, database in databases.items()}
        handler = ConnectionHandler({"default": {}} | there)
        for alias in databases:
            with closing(handler[alias]) as connection, connection.cursor() as cursor:
                cursor.execute("SELECT 1")
            if alias != "default":
                connections.settings[alias] = handler.settings[alias]
                self.stack.callback(connections.settings.pop, alias, None)

    def console(self, block: Block) -> None:
        """Commands after ``$``, each with what it prints."""
        for command, shown in commands(block.text):
            output = self.command(command)
            failed = [each for each in output.splitlines() if each.startswith("CommandError")]
            assert not failed or any(each.startswith("CommandError") for each in shown), failed
            for line in shown:
                assert any(looks_like(line, each) for each in output.splitlines()), f"{line!r}: {output}"

    def command(self, line: str) -> str:
        """What a command prints."""
        arguments = [self.argument(each) for each in shlex.split(line, comments=True)]
        target = None
        if ">" in arguments:
            arguments, target = arguments[:-2], arguments[-1]
        match arguments:
            case ["python", "manage.py", name, *rest]:
                output = managed(name, rest)
            case ["curl", *rest]:
                output = send(self.client, rest)
            case ["pip", "install", *packages]:
                output = ""
                assert all(known_package(package) for package in packages if not package.startswith("-")), line
            case _:
                done = subprocess.run(arguments, cwd=self.folder, capture_output=True, text=True, check=True)
                output = done.stdout
        if target:
            (self.folder / target).write_text(output)
        return output

    def argument(self, text: str) -> str:
        return re.sub(r"\$(\w+)", lambda match: str(self.names[match[1]]), text)

    def yaml(self, block: Block) -> None:
        file = self.folder / (block.file or "agents.yaml")
        file.write_text(block.text)
        assert config.load(file)["STORAGES"]

    def json(self, block: Block) -> None:
        self.names["shown"] = json.loads(block.text)


def module_of(block: Block) -> str:
    """The name by which a block that is a file is imported."""
    return block.file.removesuffix(".py").replace("/", ".")


def commands(text: str) -> Iterator[tuple[str, list[str]]]:
    """Each command after ``$``, with the lines that it is shown to print, but for those left out by ``…``."""
    for part in re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]:
        joined = part.replace("\\\n", " ")
        line, *shown = joined.splitlines()
        yield line, [each for each in shown if each.strip() not in ("", "…")]


def managed(name: str, arguments: list[str]) -> str:
    """What a command of Django's prints, to whichever stream; what it asks for is typed."""
    output = io.StringIO()
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(output):

        def answer(prompt: str = "") -> str:
            typed: str = re.findall(r"Type '(.*)' to go on: $", output.getvalue())[-1]
            output.write(f"{typed}\n")
            return typed

        patch.setattr("builtins.input", answer)
        try:
            call_command(name, *arguments, stdout=output, stderr=output)
        except CommandError as error:
            output.write(f"CommandError: {error}\n")
        except SystemExit as ended:
            if ended.code:
                output.write(f"CommandError: ended with {ended.code}\n")
    return output.getvalue()


def known_package(requirement: str) -> bool:
    """Whether a requirement is this package's, and its extras are there."""
    found = re.fullmatch(r"chronos-storage(?:\[([\w,-]+)\])?", requirement)
    if not found:
        return False
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return all(extra in project["optional-dependencies"] for extra in (found[1] or "").split(",") if extra)


async def _finished(coroutine: Any) -> Any:
    return await coroutine


def _words(line: str) -> list[str]:
    """What of a line of output is the same each time: words, not names, numbers, times and paths."""
    return [word for word in re.split(r"[^\w/.'-]+", line) if re.fullmatch(r"[A-Za-z_-]+[.]?", word)]


def looks_like(shown: str, printed: str) -> bool:
    """Whether the words that a page shows are among those of a line, in their order."""
    words = iter(_words(printed))
    return all(word in words for word in _words(shown))


def _said(code: CodeType, text: str) -> list[str]:
    """What a block says that it prints: the comment behind a ``print``, unless it is left open by ``…``."""
    return [said for said in re.findall(r"\bprint\(.*\)  # (.+)$", text, re.MULTILINE) if "…" not in said]
