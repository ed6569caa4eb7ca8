"""Running the management commands, in this process and in another."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from django.core.management import CommandError, call_command
from django.db import connections

from chronos_storage import conf

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Ran:
    """How a command ended, and what it printed."""

    status: int
    stdout: str
    stderr: str


@pytest.fixture
def command(alias: str, settings) -> Callable[..., Ran]:
    """Runs a command on the storage over `alias`."""
    settings.CHRONOS_STORAGE = {"STORAGES": {"here": {"BACKEND": conf.ORM_BACKEND, "OPTIONS": {"USING": alias}}}}

    def run(name: str, *arguments: object, **options: object) -> Ran:
        stdout, stderr, status = io.StringIO(), io.StringIO(), 0
        options = {"storage": "here"} | options
        try:
            call_command(name, *map(str, arguments), stdout=stdout, stderr=stderr, **options)
        except CommandError as error:
            status = error.returncode
            stderr.write(f"{error}\n")
        return Ran(status, stdout.getvalue(), stderr.getvalue())

    return run


class Started(subprocess.Popen[str]):
    """A process that does not outlive a test that fails, which would wait for it for ever."""

    def __exit__(self, kind: Any, error: Any, traceback: Any) -> None:
        if kind:
            self.kill()
        super().__exit__(kind, error, traceback)


@pytest.fixture
def start(alias: str) -> Callable[..., subprocess.Popen[str]]:
    """Starts the demo project's ``manage.py`` on the database of `alias`, in a process of its own."""

    def run(*arguments: object, **options: object) -> subprocess.Popen[str]:
        environment = os.environ | {
            "DATABASE_URL": _url(alias),
            "DJANGO_SECRET_KEY": "for these tests alone",
            "DJANGO_SETTINGS_MODULE": "project.settings",
        }
        command = [sys.executable, str(ROOT / "manage.py"), *map(str, arguments)]
        pipe = subprocess.PIPE
        return Started(command, env=environment, text=True, **{"stdout": pipe, "stderr": pipe} | options)

    return run


def _url(alias: str) -> str:
    name = connections[alias].settings_dict["NAME"]
    if connections[alias].vendor == "sqlite":
        return f"sqlite:///{name}"
    return urlsplit(os.environ[f"TEST_{alias.upper()}_URL"])._replace(path=f"/{name}").geturl()
