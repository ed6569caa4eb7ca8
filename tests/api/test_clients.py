"""Clients that are generated from the OpenAPI document have every operation, and work."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest
from django.core.wsgi import get_wsgi_application
from rest_framework.authtoken.models import Token

from chronos_storage.facade import Storage
from tests.api.conftest import SNAPSHOT, Api, connections_kept
from tests.conftest import ONLY_SQLITE

pytestmark = pytest.mark.parametrize("alias", ONLY_SQLITE, indirect=True)


@pytest.fixture
def generated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a Python client."""
    folder = tmp_path / "generated_client"
    config = tmp_path / "config.yaml"
    config.write_text("post_hooks: []\n")
    command = [str(Path(sys.executable).with_name("openapi-python-client")), "generate", "--meta=none"]
    options = [f"--path={SNAPSHOT}", f"--output-path={folder}", f"--config={config}", "--fail-on-warning"]
    done = subprocess.run([*command, *options], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    monkeypatch.syspath_prepend(tmp_path)
    return folder


def test_a_python_client_has_every_operation_and_works(generated: Path, ada: Api, site: Storage, settings: Any) -> None:
    operations = [each for path in json.loads(SNAPSHOT.read_text())["paths"].values() for each in path.values()]
    made = [path.stem for path in (generated / "api").glob("*/*.py") if path.stem != "__init__"]
    assert len(made) == len(operations)

    assert ada.user
    settings.ALLOWED_HOSTS = ["testserver"]
    client = importlib.import_module("generated_client").AuthenticatedClient(
        base_url="http://testserver/api",
        token=Token.objects.create(user=ada.user).key,
        prefix="Token",
        raise_on_unexpected_status=True,
        httpx_args={"transport": httpx.WSGITransport(app=get_wsgi_application())},
    )

    def call(operation: str, *path: str, **given: Any) -> Any:
        module = importlib.import_module(f"generated_client.api.{operation}")
        return module.sync(*path, client=client, **given)

    models = importlib.import_module("generated_client.models")
    with connections_kept():
        session = call("sessions.sessions_create", body=models.SessionRequest(title="made"))
        assert (session.title, session.user_id) == ("made", ada.user_id)
        body = models.EventAppendRequest(type_="node_executed", payload={"node": [1.5, None]}, expected_seq=0)
        event = call("sessions.sessions_events_create", session.id, body=body)
        assert event.seq_num == 1
        batch = models.MessageBatchRequest([models.MessageRequest(role="user", content="Hello")])
        [message] = call("sessions.sessions_messages_batch_create", session.id, body=batch).messages
        assert (message.role, message.content, message.usage) == ("user", "Hello", None)
        page = call("sessions.sessions_events_list", session.id)
        assert (page.next_, [each.id for each in page.results]) == (None, [event.id])
        assert (page.results[0].payload.to_dict(), page.results[0].hash_) == ({"node": [1.5, None]}, event.hash_)
        problem = call("sessions.sessions_retrieve", "none")
        assert (problem.status, problem.title) == (404, "Not found")
