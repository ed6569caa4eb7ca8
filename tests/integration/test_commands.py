"""What all commands have in common: examples, a report as JSON, the storage's alias, and how they end."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from django.core.management import call_command, get_commands, load_command_class

from chronos_storage.management.report import ExampleCommand
from chronos_storage.records import Event, Session
from chronos_storage.testing.conformance.helpers import cases
from tests.conftest import ONLY_SQLITE

#: All of this package's commands, each with the app that has it.
COMMANDS = {name: app for name, app in get_commands().items() if name.startswith("chronos_")}


def test_help_shows_command_lines_that_the_command_takes() -> None:
    assert len(COMMANDS) > 13
    for name in cases(COMMANDS):
        command: Any = load_command_class(COMMANDS[name], name)
        assert isinstance(command, ExampleCommand)
        parser = command.create_parser("manage.py", name)
        shown = parser.format_help()
        for example in command.examples:
            assert f"  python manage.py {example}\n" in shown
            called, *arguments = example.split()
            assert called == name
            parser.parse_args(arguments)
        # What a client speaks to a server is JSON as it is.
        assert name == "chronos_mcp" or any("--json" in example for example in command.examples)


@pytest.mark.parametrize("alias", ONLY_SQLITE, indirect=True)
def test_a_report_as_json_is_one_document_and_nothing_else(storage: Any, alias: str, tmp_path: Path) -> None:
    storage.create_session(Session(id="s"))
    storage.append_event(Event(session_id="s"))
    key = tmp_path / "key.pem"
    key.write_bytes(Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    (tmp_path / "agents.yaml").write_text("defaults: {storage: {backend: memory}}")
    called = {
        "chronos_anchor": ("write", "--key", key, "--out", tmp_path / "anchor"),
        "chronos_backup": (tmp_path / "backups",),
        "chronos_config": ("check", tmp_path / "agents.yaml"),
        "chronos_erase": ("--user", "nobody", "--no-input"),
        "chronos_export": ("--all", tmp_path / "all.jsonl"),
        "chronos_import": (tmp_path / "all.jsonl", "--format", "chronos"),
        "chronos_prune": (),
        "chronos_stats": (),
        "chronos_vectors": ("stats",),
        "chronos_verify": ("--all",),
    }
    for name in cases(called):
        stdout, stderr = io.StringIO(), io.StringIO()
        call_command(name, *map(str, called[name]), "--json", stdout=stdout, stderr=stderr)
        assert isinstance(json.loads(stdout.getvalue()), dict)
        assert (stdout.getvalue().count("\n"), stderr.getvalue()) == (1, "")
