"""``docs/interfaces.md`` names every method of the documents, what it is called here, and a test that is there."""

from __future__ import annotations

import ast
import importlib
import inspect
import os
import re
import subprocess
import sys
from functools import reduce
from pathlib import Path
from typing import Any

import pytest
from asgiref.sync import async_to_sync

import chronos_storage
from chronos_storage.interfaces import agentx, ago
from chronos_storage.interfaces.agentos import StorageAdapter

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "interfaces.md").read_text(encoding="utf-8")
TESTS = Path(__file__).parent

#: The method lists of the documents, by the heading of their table.
METHODS = {
    "Chronos, the storage": """
        CreateSession GetSession UpdateSession ListSessions DeleteSession PutMemory GetMemory ListMemory DeleteMemory
        AppendAuditLog InsertAuditLog ListAuditLogs InsertTrace GetTrace ListTraces AppendEvent ListEvents
        SaveCheckpoint GetCheckpoint GetLatestCheckpoint ListCheckpoints Migrate Close sqlite.New postgres.New
        redis.New mongo.New dynamo.New""",
    "Chronos, the vector store": "qdrant.New Upsert Search Delete CreateCollection Close",
    "AgentOS": """
        initialize close createConversation getConversation updateConversation deleteConversation listConversations
        storeMessage getMessage getMessages deleteMessage deleteMessagesForConversation getMessageCount
        getConversationTokenUsage""",
    "AgentX": """
        createAgentX createPersistence memoryDriver sqliteDriver fsDriver postgresqlDriver mysqlDriver
        redisDriver mongodbDriver createQueue
        containers.saveContainer containers.findContainerById containers.findAllContainers
        containers.containerExists containers.deleteContainer
        images.saveImage images.findImageById images.findAllImages images.findImagesByName
        images.findImagesByContainerId images.updateMetadata images.deleteImage images.imageExists
        sessions.saveSession sessions.findSessionById sessions.findSessionByImageId
        sessions.findSessionsByContainerId sessions.findAllSessions sessions.sessionExists sessions.deleteSession
        sessions.addMessage sessions.getMessages sessions.clearMessages sessions.truncateMessagesAfter
        queue.publish queue.subscribe queue.ack queue.recover queue.getCursor queue.close
        exportData importData backupDatabase cleanOldBackups""",
    "Ago": """
        New Config.DatabaseURL Config.MaxConns Config.MinConns Config.Schema Config.AutoMigrate CreateSession GetSession
        UpdateSession DeleteSession ListSessions CreateEvent CreateEvents GetEvents GetRecentEvents GetEvent Close""",
}


def rows(heading: str) -> list[tuple[str, str, str]]:
    """The rows of a table: the name there, the name here, the test."""
    _, _, rest = PAGE.partition(f"### {heading} (")
    table = rest.partition("\n### ")[0]
    return re.findall(r"^\| `(.+?)` \| `(.+?)` \| `(.+?)` \|$", table, re.MULTILINE)


@pytest.mark.parametrize("heading", METHODS)
def test_every_method_of_the_documents_is_listed(heading: str) -> None:
    listed = {there for there, _, _ in rows(heading)}
    assert [name for name in METHODS[heading].split() if name not in listed] == []


@pytest.mark.parametrize("heading", METHODS)
def test_every_name_here_is_there(heading: str) -> None:
    for _, here, _ in rows(heading):
        first, *rest = here.split(".")
        if first in ("agentos", "agentx", "ago"):
            start: Any = importlib.import_module(f"chronos_storage.interfaces.{first}")
        elif first == "config":
            start = importlib.import_module("chronos_storage.config")
        else:
            start = getattr(chronos_storage, first)
        assert reduce(getattr, rest, start) is not None


@pytest.mark.parametrize("heading", METHODS)
def test_every_test_that_is_named_is_there(heading: str) -> None:
    for _, _, test in rows(heading):
        file, _, name = test.partition("::")
        defined = {node.name for node in ast.parse((TESTS / file).read_text()).body if hasattr(node, "name")}
        assert name in defined


def test_the_tests_that_the_text_names_are_there() -> None:
    for file, name in re.findall(r"\(`(test_\w+\.py)::(\w+)`\)", PAGE):
        assert re.search(rf"^(async )?def {name}\(", (TESTS / file).read_text(), re.MULTILINE)


@pytest.mark.parametrize(
    ("kind", "prefix"),
    [
        (StorageAdapter, "agentos.StorageAdapter"),
        (ago.Service, "ago.Service"),
        (agentx.ContainerRepository, "agentx.ContainerRepository"),
        (agentx.ImageRepository, "agentx.ImageRepository"),
        (agentx.SessionRepository, "agentx.SessionRepository"),
    ],
)
def test_every_method_of_ours_is_listed(kind: type[Any], prefix: str) -> None:
    listed = {here for heading in METHODS for _, here, _ in rows(heading)}
    methods = [name for name, _ in inspect.getmembers(kind, inspect.isfunction) if not name.startswith("_")]
    assert [name for name in methods if f"{prefix}.{name}" not in listed] == []


def test_importing_them_loads_no_model_and_no_optional_library() -> None:
    program = """
import sys
import chronos_storage.config
from chronos_storage.interfaces import agentos, agentx, ago
loaded = {"chronos_storage.models", "yaml", "psycopg", "numpy", "pymongo", "pymysql", "boto3"}.intersection(sys.modules)
sys.exit(f"loaded: {loaded}" if loaded else 0)
"""
    environment = {**os.environ, "DJANGO_SETTINGS_MODULE": "project.settings", "DJANGO_SECRET_KEY": "for this alone"}
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, env=environment, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.django_db
def test_the_examples_run() -> None:
    names: dict[str, Any] = {}
    for example in re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL):
        if "settings.py" not in example:
            exec(example, names)
    async_to_sync(names["greet"])()
    async_to_sync(names["talk"])()
