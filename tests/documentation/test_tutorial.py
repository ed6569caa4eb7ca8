"""The tutorial is followed step by step, in processes of its own, from an empty folder."""

from __future__ import annotations

import os
import re
import shlex
import socket
import subprocess
import sys
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from chronos_storage.testing.conformance.helpers import PATIENCE
from tests.documentation.pages import ROOT, TUTORIAL, blocks
from tests.documentation.running import commands, known_package, looks_like


class Reader:
    """Who follows the tutorial: types commands in a folder, and writes files there."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.site: Site | None = None
        self.printed = ""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("DJANGO_", "TEST_"))}
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        self.environment = {**kept, "PATH": path, "PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "error"}

    def write(self, text: str) -> None:
        """A file, or the end of one, which its first line names."""
        name = re.match(r"# (at the end of )?(\S+)\n", text)
        assert name, text
        with (self.folder / name[2]).open("a" if name[1] else "w") as file:
            file.write(text)

    def type(self, line: str) -> None:
        """A command, which is waited for unless it is a server's."""
        if line.startswith("pip install "):
            assert known_package(line.split()[-1])
            self.printed = ""
        elif line.endswith(" runserver"):
            self.site = Site(self)
        else:
            done = subprocess.run(
                ["bash", "-c", line], cwd=self.folder, env=self.environment, capture_output=True, text=True
            )
            self.printed = done.stdout + done.stderr

    def leave(self) -> None:
        if self.site:
            self.site.server.terminate()
            self.site.server.wait()


class Site:
    """The project's server, and a browser's session with the admin."""

    def __init__(self, reader: Reader) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.address = f"127.0.0.1:{free.getsockname()[1]}"
        serve = shlex.split(f"python manage.py runserver --noreload {self.address}")
        self.server = subprocess.Popen(
            serve, cwd=reader.folder, env=reader.environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        self.opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor())
        deadline = time.monotonic() + PATIENCE
        while True:
            with suppress(OSError):
                login = self.get("/admin/login/")
                break
            assert time.monotonic() < deadline
            time.sleep(0.1)
        token = re.findall(r'name="csrfmiddlewaretoken" value="(\w+)"', login)[0]
        form = {"username": "ada", "password": "secret", "next": "/admin/", "csrfmiddlewaretoken": token}
        self.opener.open(f"http://{self.address}/admin/login/", urllib.parse.urlencode(form).encode())

    def get(self, path: str) -> str:
        with self.opener.open(f"http://{self.address}{path}") as answer:
            text: str = answer.read().decode()
            return text


@pytest.fixture
def reader(tmp_path: Path) -> Iterator[Reader]:
    made = Reader(tmp_path)
    yield made
    made.leave()


def test_the_tutorial(reader: Reader) -> None:
    for block in blocks(TUTORIAL):
        if block.language == "hidden":
            exec(compile(block.source, TUTORIAL, "exec"), {"printed": reader.printed, "site": reader.site})
        elif block.language == "python":
            reader.write(block.text)
        else:
            for command, shown in commands(block.text):
                reader.type(command)
                for line in shown:
                    assert any(looks_like(line, each) for each in reader.printed.splitlines()), reader.printed
                if "Error" not in "".join(shown):
                    assert "Traceback" not in reader.printed, reader.printed
