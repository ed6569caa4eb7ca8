"""The demo's site under uvicorn, who appends to it, and a network that is cut at will."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.servers import free_port

ROOT = Path(__file__).resolve().parents[2]
SECONDS = 300

#: Migrates, and makes a user who is signed in, and sessions of theirs; prints the session cookie.
_BEGIN = """
import sys
import django
django.setup()
from django.core.management import call_command
from django.contrib.auth.models import User
from django.test import Client
from chronos_storage import storage
from chronos_storage.records import Session
call_command("migrate", verbosity=0)
user = User.objects.create_user("ada")
client = Client()
client.force_login(user)
for id in sys.argv[1:]:
    storage.create_session(Session(id=id, user_id=str(user.pk)))
print(client.cookies["sessionid"].value)
"""


class Site:
    """The demo's site on one database, migrated, with a user who is signed in and has these sessions.

    Attributes:
        key: the user's session cookie.
    """

    def __init__(self, url: str, settings: str, *session_ids: str) -> None:
        self.port = free_port()
        self.environment = os.environ | {
            "DATABASE_URL": url,
            "DJANGO_SECRET_KEY": "for these tests alone",
            "DJANGO_SETTINGS_MODULE": settings,
        }
        self.key = self.python("-c", _BEGIN, *session_ids).strip()
        self.process: subprocess.Popen[bytes] | None = None

    def python(self, *arguments: str, given: str | None = None) -> str:
        done = subprocess.run(
            [sys.executable, *arguments],
            cwd=ROOT,
            env=self.environment,
            input=given,
            text=True,
            capture_output=True,
            timeout=SECONDS,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    @contextmanager
    def served(self, workers: int) -> Iterator[None]:
        """Within the block, the site is served."""
        self.start(workers)
        try:
            yield
        finally:
            self.kill()

    def start(self, workers: int) -> None:
        """Serve the site, or serve it again; returns when it answers."""
        command = ["-m", "uvicorn", "project.asgi:application", f"--port={self.port}", f"--workers={workers}"]
        command += ["--lifespan=off", "--log-level=warning"]
        # By which PostgreSQL's connections of the site are told from those of who appends.
        environment = self.environment | {"PGAPPNAME": "site"}
        self.process = subprocess.Popen([sys.executable, *command], cwd=ROOT, env=environment, start_new_session=True)
        until = time.monotonic() + SECONDS
        while True:
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{self.port}/api/", timeout=SECONDS).close()
            except urllib.error.HTTPError as answer:  # nobody is signed in
                answer.close()
                return
            except OSError:
                assert self.process.poll() is None
                assert time.monotonic() < until
                time.sleep(0.05)

    def kill(self) -> None:
        """Kill the server and its workers."""
        assert self.process
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    @contextmanager
    def appenders(self, session_id: str, folder: Path, *counts: int) -> Iterator[None]:
        """Within the block, as many processes append so many events each, all of which must be done at its end."""
        what = ("events", "default", session_id, str(folder), *map(str, counts))
        command = [sys.executable, "-m", "tests.appenders", *what]
        with subprocess.Popen(command, cwd=ROOT, env=self.environment, stdout=subprocess.PIPE, text=True) as launcher:
            try:
                yield
                printed, _ = launcher.communicate(timeout=SECONDS)
                assert printed.split("\n")[1].split() == ["0"] * len(counts)
            finally:
                launcher.kill()


class Network:
    """A proxy before a port, in which things happen once so many bytes have passed to the readers.

    Attributes:
        port: where it listens.
        happened: how often something happened.
    """

    def __init__(self, after: int, thresholds: list[int], happens: Callable[[], None]) -> None:
        self._behind = after
        self._thresholds = sorted(thresholds)
        self._happens = happens
        self._passed = 0
        self._lock = threading.Lock()
        self.happened = 0
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                near, _ = self._listener.accept()
                threading.Thread(target=self._connect, args=[near], daemon=True).start()

    def _connect(self, near: socket.socket) -> None:
        with near, suppress(OSError), socket.create_connection(("127.0.0.1", self._behind)) as far:
            upwards = threading.Thread(target=self._pump, args=[near, far], kwargs={"downwards": False}, daemon=True)
            upwards.start()
            self._pump(far, near, downwards=True)
            upwards.join()

    def _pump(self, source: socket.socket, target: socket.socket, *, downwards: bool) -> None:
        try:
            while data := source.recv(65536):
                passing = self._watch(data) if downwards else None
                target.sendall(data if passing is None else passing)
                if passing is not None:
                    break
        except OSError:
            pass
        for each in (source, target):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)

    def _watch(self, data: bytes) -> bytes | None:
        """What of the data still passes when it is cut here; None if it isn't."""
        with self._lock:
            if not self._thresholds or self._passed + len(data) < self._thresholds[0]:
                self._passed += len(data)
                return None
            passing = data[: max(0, self._thresholds.pop(0) - self._passed)]
            self._passed += len(passing)
            self.happened += 1
        self._happens()
        return passing


@contextmanager
def network(after: int, thresholds: list[int], happens: Callable[[], None] = lambda: None) -> Iterator[Network]:
    """A `Network` that cuts the connection through which the bytes passed, for as long as the block lasts."""
    made = Network(after, thresholds, happens)
    try:
        yield made
    finally:
        made.close()
