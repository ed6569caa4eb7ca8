"""The demo as a newcomer runs it: in processes of its own, interrupted and killed, and looked at in a browser's way."""

from __future__ import annotations

import ast
import dataclasses
import inspect
import io
import json
import os
import re
import signal
import socket
import sqlite3
import subprocess
import sys
import tokenize
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from http.cookiejar import CookieJar
from importlib import import_module
from pathlib import Path
from typing import Any, cast

import django
import pytest
from django.conf import settings
from pytest_django import DjangoDbBlocker

from chronos_storage import connect
from project.demo.agent import AGENT_ID
from project.demo.embedding import embed
from project.demo.questions import QUESTIONS
from tests.databases import new_databases

ROOT = Path(__file__).resolve().parents[2]
DJANGO = Path(django.__file__).parent

Stored = dict[str, Any]


class Demo:
    """The demo on one database."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.environment = os.environ | {
            "DATABASE_URL": url,
            "DJANGO_SECRET_KEY": "for these tests alone",
            "DJANGO_SETTINGS_MODULE": "project.settings",
        }

    def python(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, *arguments], cwd=ROOT, env=self.environment, text=True, capture_output=True, timeout=120
        )

    def run(self, *options: str) -> str:
        done = self.python("-m", "project.demo", "--no-serve", *options)
        assert (done.returncode, done.stderr) == (0, ""), done.stdout + done.stderr
        return done.stdout

    def start(self, *options: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "project.demo", *options]
        pipe = subprocess.PIPE
        return subprocess.Popen(command, cwd=ROOT, env=self.environment, text=True, stdout=pipe, stderr=pipe)

    def stop(self, number: int, line: str) -> tuple[int, str]:
        """Run until it prints something with `line` in it, and send it a signal; its exit status and stderr."""
        process = self.start("--no-serve")
        assert process.stdout
        for printed in process.stdout:
            if line in printed:
                process.send_signal(number)
                break
        _, stderr = process.communicate(timeout=120)
        return process.returncode, stderr

    def stored(self) -> Stored:
        """The sessions of the demo's agent with all that belongs to them, and its memory, as plain JSON."""
        storage = connect(self.url)
        sessions = [
            {
                **dataclasses.asdict(session),
                "messages": plain(storage.list_messages(session.id)),
                "events": plain(storage.list_events(session.id)),
                "checkpoints": plain(storage.list_checkpoints(session.id))[::-1],
                "traces": plain(storage.list_traces(session.id)),
                "audit_logs": plain(storage.list_audit_logs(session.id, limit=None))[::-1],
                "intact": storage.verify_events(session.id).intact and storage.verify_audit_logs(session.id).intact,
            }
            for session in storage.list_sessions(AGENT_ID, limit=None)
        ]
        found = {"sessions": sessions, "memory": plain(storage.list_memory(AGENT_ID))}
        storage.close()
        return cast(Stored, json.loads(json.dumps(found, default=str)))

    def session(self) -> Stored:
        (session,) = self.stored()["sessions"]
        return cast(Stored, session)


def plain(records: Sequence[Any]) -> list[dict[str, Any]]:
    return [dataclasses.asdict(record) for record in records]


@pytest.fixture(scope="module", autouse=True)
def unblocked(django_db_blocker: DjangoDbBlocker) -> Iterator[None]:
    """What a demo has stored may be looked at."""
    with django_db_blocker.unblock():
        yield


@pytest.fixture
def demo(tmp_path: Path) -> Demo:
    return Demo(f"sqlite:///{tmp_path}/demo.sqlite3")


@pytest.fixture(params=[alias for alias in settings.DATABASES if alias == "postgres"])
def demo_on_server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Demo]:
    """A demo on a database of its own, on a server."""
    with new_databases(request.param, tmp_path) as [address]:
        yield Demo(address)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Demo:
    """A demo that ran through undisturbed."""
    demo = Demo(f"sqlite:///{tmp_path_factory.mktemp('demo')}/demo.sqlite3")
    demo.run()
    return demo


@pytest.fixture(scope="module")
def session(finished: Demo) -> Stored:
    return finished.session()


@pytest.fixture
def finished_too(finished: Demo, demo: Demo) -> Demo:
    """Another with the same in its database, which a test may change."""
    one, other = (sqlite3.connect(each.url.removeprefix("sqlite:///")) for each in (finished, demo))
    one.backup(other)
    for connection in (one, other):
        connection.close()
    return demo


# What it found out, found out in another way


def keywords(package: str) -> dict[str, list[str]]:
    """By module: the keywords that open a definition, which no other statement has."""
    return {
        module: [
            token.string
            for token in tokenize.generate_tokens(io.StringIO(text).readline)
            if token.type == tokenize.NAME and token.string in ("class", "def")
        ]
        for module, text in sources(package).items()
    }


def sources(package: str) -> dict[str, str]:
    place = DJANGO.parent.joinpath(*package.split("."))
    files = place.rglob("*.py") if place.is_dir() else [place.with_suffix(".py")]
    return {
        re.sub(r"(\.__init__)?\.py$", "", ".".join(file.relative_to(DJANGO.parent).parts)): file.read_text("utf-8")
        for file in files
    }


def total(package: str, keyword: str) -> int:
    return sum(found.count(keyword) for found in keywords(package).values())


def mentions(package: str, word: str) -> dict[str, int]:
    found = {
        module: sum(word in re.findall(r"\w+", line) for line in text.splitlines())
        for module, text in sources(package).items()
    }
    return {module: lines for module, lines in found.items() if lines}


def summary(name: str) -> str:
    try:
        documented: object = import_module(name)
    except ImportError:
        module, _, last = name.rpartition(".")
        documented = getattr(import_module(module), last)
    return " ".join((inspect.getdoc(documented) or "").split("\n\n")[0].split())


def expected_answers() -> Iterator[str]:
    version = json.dumps(django.VERSION).strip("[]")
    yield f"django/__init__.py says: VERSION = ({version})."
    yield f"django.db.models.fields defines {total('django.db.models.fields', 'class')} classes."
    yield f"django.shortcuts defines {total('django.shortcuts', 'def')} functions."
    forms, template = total("django.forms", "class"), total("django.template", "class")
    assert forms > template
    yield f"django.forms defines {forms} classes, django.template {template}."
    auth = {module: found.count("def") for module, found in keywords("django.contrib.auth").items()}
    most = max(auth, key=lambda module: auth[module])
    yield f"{most} does: {auth[most]} of the {sum(auth.values())} functions of django.contrib.auth."
    for name in ("django.core.signing", "django.utils.functional.cached_property", "django.db.models.QuerySet"):
        yield f"{name}: {summary(name)}"
    line = inspect.getsourcelines(import_module("django.shortcuts").get_object_or_404)[1]
    yield f"get_object_or_404 is defined in django/shortcuts.py, line {line}."
    admin = mentions("django.contrib.admin", "format_html")
    yield f"{len(admin)} files of django.contrib.admin mention format_html, on {sum(admin.values())} lines."
    db = mentions("django.db", "select_for_update")
    most = max(db, key=lambda module: db[module])
    yield f"{most.replace('.', '/')}.py does, on {db[most]} of {sum(db.values())} lines."
    yield "There is no django.utils.telepathy in the installed Django."
    yield nearest("django.utils", "removing HTML tags", "django.utils.html.strip_tags")
    yield nearest("django.contrib.auth", "resetting a password", "django.contrib.auth.forms.PasswordResetForm.save")


def nearest(package: str, about: str, first: str) -> str:
    """The answer, from a comparison with every docstring."""
    scores = {}
    for module, text in sources(package).items():
        pending: list[tuple[str, Any]] = [(module, ast.parse(text))]
        while pending:
            name, node = pending.pop()
            pending += [(f"{name}.{child.name}", child) for child in node.body if hasattr(child, "name")]
            if name != module and (docstring := ast.get_docstring(node)):
                vector = embed(f"{name.split('.')[-1].replace('_', ' ')} {docstring}") or []
                wanted = embed(about) or []
                scores[name] = sum((one * other for one, other in zip(vector, wanted, strict=True)), start=0.0)
    best = sorted(scores, key=lambda name: (-scores[name], name))[:3]
    assert best[0] == first
    hits = ", ".join(f"{name} ({scores[name]:.2f})" for name in best)
    return f"Of the {len(scores)} docstrings of {package}, these are the nearest: {hits}."


def answers(session: Stored) -> list[str]:
    return [m["content"] for m in session["messages"] if m["role"] == "assistant" and not m["tool_calls"]]


def test_every_answer_is_true(session: Stored) -> None:
    assert len(QUESTIONS) == 14
    given = answers(session)
    for question, answer, expected in zip(QUESTIONS, given, expected_answers(), strict=True):
        assert answer == expected, question


# What it kept


def test_the_conversation_is_well_formed(session: Stored) -> None:
    messages = session["messages"]
    assert [m["content"] for m in messages if m["role"] == "user"] == list(QUESTIONS)
    assert [m["seq_num"] for m in messages] == list(range(1, len(messages) + 1))
    called = 0
    for message, following in zip(messages, [*messages[1:], None], strict=True):
        if message["role"] == "tool":
            continue
        calls = message["tool_calls"] or []
        assert (message["content"] is None) == bool(calls)
        for call in calls:
            assert call["type"] == "function"
            assert isinstance(json.loads(call["function"]["arguments"]), dict)
            assert following["role"] == "tool"
            assert following["tool_call_id"] == call["id"]
            assert following["name"] == call["function"]["name"]
            assert len(json.loads(following["content"])) == 1
            called += 1
    assert called == sum(m["role"] == "tool" for m in messages) > len(QUESTIONS)


def test_each_step_has_its_message_event_and_checkpoint(session: Stored) -> None:
    steps = [m["id"] for m in session["messages"]]
    assert [e["id"] for e in session["events"]] == steps
    assert [c["id"] for c in session["checkpoints"]] == steps
    assert [e["seq_num"] for e in session["events"]] == list(range(1, len(steps) + 1))
    assert [c["state"]["step"] for c in session["checkpoints"]] == list(range(1, len(steps) + 1))
    assert {e["type"] for e in session["events"]} == {"chat_message", "node_executed"}
    assert len(session["audit_logs"]) == sum(m["role"] == "tool" for m in session["messages"])
    assert session["intact"]
    assert session["status"] == "completed"


def test_spans_have_real_times(session: Stored) -> None:
    spans = {span["id"]: span for span in session["traces"]}
    graphs = [span for span in spans.values() if span["kind"] == "graph"]
    tools = [span for span in spans.values() if span["kind"] == "tool_call"]
    assert [graph["input"] for graph in graphs] == list(QUESTIONS)
    assert [graph["output"] for graph in graphs] == answers(session)
    assert len(graphs) + len(tools) == len(spans)
    assert [tool["name"] for tool in tools] == [m["name"] for m in session["messages"] if m["role"] == "tool"]
    for tool in tools:
        graph = spans[tool["parent_id"]]
        assert times(graph)[0] <= times(tool)[0] < times(tool)[1] <= times(graph)[1]
        assert (tool["output"] is None) == bool(tool["error"])
    assert [tool["error"] for tool in tools if tool["error"]] == [
        "ToolError: django/db/models/__init__.py defines no QuerySet",
        "ToolError: django/utils/__init__.py defines no telepathy",
    ]


def times(span: Stored) -> tuple[datetime, datetime]:
    return datetime.fromisoformat(span["started_at"]), datetime.fromisoformat(span["ended_at"])


def test_memory_has_the_facts_and_the_last_answer(finished: Demo, session: Stored) -> None:
    memory = finished.stored()["memory"]
    facts = {record["key"]: record["value"]["answer"] for record in memory if record["kind"] == "long_term"}
    assert facts == dict(zip(QUESTIONS, answers(session), strict=True))
    (last,) = [record for record in memory if record["kind"] == "short_term"]
    assert (last["key"], last["value"], last["session_id"]) == ("last_answer", answers(session)[-1], session["id"])
    assert last["expires_at"]


# Stopped and run again


def lasting(session: Stored) -> Stored:
    """What a session holds, without the times, and what can only be its own: its id, the hashes and the spans."""
    left_out = {"created_at", "session_id", "hash"}
    kept = {
        kind: [{name: value for name, value in record.items() if name not in left_out} for record in session[kind]]
        for kind in ("messages", "events", "checkpoints", "audit_logs")
    }
    for log in kept["audit_logs"]:
        log["id"] = log["id"].removeprefix(session["id"])
    return kept


BROKEN = """
import sys
from project.demo import __main__, agent
def fails(**arguments):
    raise RuntimeError("the disk is gone")
agent.TOOLS["read_docstring"] = fails
sys.argv = ["demo", "--no-serve"]
__main__.main()
"""
#: In the order in which they are printed, and by what it is stopped then.
STOPS = [
    ("Session", signal.SIGKILL),
    ("[ 2/14]", signal.SIGINT),
    ("'django.forms'", signal.SIGKILL),
    ("[ 7/14]", signal.SIGINT),
]


def test_stopped_or_broken_again_and_again_it_goes_on_where_it_was(demo: Demo, session: Stored) -> None:
    seen: list[Stored] = []
    for line, number in STOPS:
        status, stderr = demo.stop(number, line)
        if number == signal.SIGINT:
            assert (status, stderr) == (128 + signal.SIGINT, ""), line
        else:
            assert status == -signal.SIGKILL, line
        before = demo.session()
        assert before["status"] in (("paused",) if number == signal.SIGINT else ("active", "running"))
        assert len(before["messages"]) == len(before["events"]) == len(before["checkpoints"]) < len(session["messages"])
        assert before["messages"][: len(seen)] == seen
        seen = before["messages"]

    done = demo.python("-c", BROKEN)
    assert done.returncode == 1
    assert done.stderr.endswith("RuntimeError: the disk is gone\n")
    failed = demo.session()
    assert failed["status"] == "failed"
    assert failed["messages"][: len(seen)] == seen
    # of the question and of the call
    assert [span["error"] for span in failed["traces"]].count("RuntimeError: the disk is gone") == 2

    demo.run()
    after = demo.session()
    assert lasting(after) == lasting(session)
    assert after["messages"][: len(seen)] == seen
    assert after["status"] == "completed"
    assert after["intact"]
    assert all(span["ended_at"] for span in after["traces"])
    unkept = [span for span in after["traces"] if span["kind"] == "tool_call"]
    assert 1 <= len(unkept) - len(after["audit_logs"]) <= len(STOPS) + 1


@pytest.mark.skipif("postgres15" not in settings.DATABASES, reason="there is no PostgreSQL without pgvector")
@pytest.mark.parametrize("demo_on_server", ["postgres15"], indirect=True)
def test_without_pgvector_it_says_what_to_install(demo_on_server: Demo) -> None:
    done = demo_on_server.python("-m", "project.demo", "--no-serve")
    assert done.returncode == 1
    assert "postgresql-15-pgvector" in done.stderr
    assert "Traceback" not in done.stderr


def test_on_a_server_it_is_the_same(demo_on_server: Demo, session: Stored) -> None:
    demo = demo_on_server
    assert demo.stop(signal.SIGKILL, "'django.forms'")[0] == -signal.SIGKILL
    demo.run()
    after = demo.session()
    assert lasting(after) == lasting(session)
    assert (after["status"], after["intact"]) == ("completed", True)
    assert all(span["ended_at"] for span in after["traces"])


def test_a_finished_session_is_left_as_it_is(finished: Demo, session: Stored) -> None:
    assert "--again" in finished.run()
    assert finished.session() == session


# The site


class Browser:
    def __init__(self) -> None:
        self.cookies = CookieJar()
        self.open = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(self.cookies)).open

    def get(self, url: str, **form: str) -> tuple[str, str]:
        """The address where a page was found, following redirects, and its text; a POST where there is a form."""
        data = urllib.parse.urlencode(form).encode() if form else None
        with self.open(urllib.request.Request(url, data, {"Referer": url}), timeout=120) as response:
            return response.url, response.read().decode()


Serve = Callable[[Demo, int], tuple[subprocess.Popen[str], str]]


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Starts a demo that asks all again and serves; gives it, and what it printed up to there."""
    processes = []

    def start(demo: Demo, port: int) -> tuple[subprocess.Popen[str], str]:
        process = demo.start("--again", "--port", str(port))
        processes.append(process)
        assert process.stdout
        printed = ""
        for line in process.stdout:
            printed += line
            if line.startswith("Ctrl-C"):
                break
        return process, printed

    yield start
    for process in processes:
        process.kill()
        process.communicate()


def test_again_begins_a_new_session_and_the_site_shows_what_it_says(finished_too: Demo, serve: Serve) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        process, printed = serve(finished_too, port)
    newest, oldest = finished_too.stored()["sessions"]
    assert lasting(newest) == lasting(oldest)
    assert newest["id"] != oldest["id"]
    site, password, page = (
        match[1]
        for pattern in (r"The admin: +(\S+)/admin/chronos_storage/", r"admin, password (\S+)", r"The session: +(\S+)")
        if (match := re.search(pattern, printed))
    )
    assert port < int(site.rpartition(":")[2]) < port + 100, "a port in use is passed over"
    browser = Browser()
    address, login = browser.get(site)
    assert address.startswith(f"{site}/admin/login/")
    styles = re.findall(r'<link rel="stylesheet" href="([^"]+)"', login)
    assert styles
    for style in styles:
        assert "{" in browser.get(urllib.parse.urljoin(site, style))[1]
    with pytest.raises(urllib.error.HTTPError, match="404"):
        browser.get(f"{site}/static/admin/css/nowhere.css")
    token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', login)
    assert token
    address, index = browser.get(address, username="admin", password=password, csrfmiddlewaretoken=token[1])
    assert address == f"{site}/admin/chronos_storage/"
    assert 'href="/admin/chronos_storage/session/overview/"' in index
    assert 'href="/admin/chronos_storage/session/"' in index
    address, shown = browser.get(page)
    assert address == page
    assert newest["id"] in page
    assert "14 questions about Django" in shown
    lists = re.findall(r"(http\S+q=\S+)", printed)
    assert len(lists) == 4
    for page in lists:
        assert "/change/" in browser.get(page)[1]

    process.send_signal(signal.SIGINT)
    stdout, stderr = process.communicate(timeout=120)
    assert (process.returncode, stderr) == (0, "")
    assert stdout.endswith("Stopped.\n")


# The project


def test_sqlite_is_set_up_for_several_processes(finished: Demo) -> None:
    file = finished.url.removeprefix("sqlite:///")
    with sqlite3.connect(file) as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_checks_find_nothing(demo: Demo) -> None:
    demo.environment |= {"DJANGO_HTTPS": "1", "DJANGO_SECRET_KEY": "0123456789abcdefghijklmnopqrstuvwxyz" * 2}
    # W005 and W021 would speak for the whole domain, which only its owner can.
    done = demo.python("manage.py", "check", "--deploy", "--database", "default")
    assert done.returncode == 0
    assert set(re.findall(r"\(([\w.]+[EW]\d+)\)", done.stderr)) <= {"security.W005", "security.W021"}


def test_the_secret_key_is_made_once_and_for_its_owner_alone(tmp_path: Path) -> None:
    file = tmp_path / "var" / "secret_key"
    script = "import sys, pathlib, project.secret_key as s; print(s.read_or_make(pathlib.Path(sys.argv[1])))"
    command = [sys.executable, "-c", script, str(file)]
    processes = [subprocess.Popen(command, cwd=ROOT, text=True, stdout=subprocess.PIPE) for _ in range(8)]
    keys = {process.communicate(timeout=120)[0] for process in processes}
    assert keys == {file.read_text() + "\n"}
    assert len(file.read_text()) >= 50
    assert file.stat().st_mode & 0o777 == 0o600
    assert [path.name for path in file.parent.iterdir()] == ["secret_key"]
