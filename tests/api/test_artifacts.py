"""Artifacts: files that are sent and fetched, by whom they are for, in pieces and as what they are said to be."""

from __future__ import annotations

import hashlib
import io
import re
import tempfile
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import AsyncClient

from chronos_storage.facade import Storage
from chronos_storage.queues import following
from chronos_storage.records import Artifact, Session
from chronos_storage.testing.conformance.artifacts import content, files_of, put
from chronos_storage.testing.conformance.helpers import case
from tests.api.conftest import Api, body_of, read, signed_in
from tests.api.serving import ROOT
from tests.conftest import ONLY_SQLITE, STRICTEST, alias_of

alias = alias_of(ONLY_SQLITE)

PAGE = (ROOT / "docs" / "artifacts.md").read_text(encoding="utf-8")
PNG = b"\x89PNG\r\n\x1a\n" + bytes(20)
RAW = "application/octet-stream"


def send(asker: Api, path: str, data: Any, kind: str = RAW, status: int = 201, **headers: str) -> Any:
    """What is answered to a file that is sent as a body."""
    named = {"Accept": "application/json", **{name.replace("_", "-"): text for name, text in headers.items()}}
    return read(asker.client.generic("POST", f"/api/{path}", data, content_type=kind, headers=named), status)


def send_form(asker: Api, status: int = 201, path: str = "artifacts", **fields: Any) -> Any:
    """What is answered to a form."""
    return read(asker.client.post(f"/api/{path}", fields, headers={"Accept": "application/json"}), status)


def refused(problem: Any) -> list[str]:
    return [each["field"] for each in problem["errors"]]


@pytest.mark.parametrize("alias", STRICTEST, indirect=True)
def test_a_file_is_sent_found_fetched_and_removed(ada: Api, site: Storage) -> None:
    site.create_session(Session(id="s", user_id=ada.user_id))
    site.put_artifact(Artifact(session_id="s", name="report.txt"), b"the agent's")
    query = "artifacts?session_id=s&name=report.txt&metadata=%7B%22lang%22%3A%22en%22%7D"
    response = ada.client.post(f"/api/{query}", b"Hello", content_type="text/plain; charset=utf-8")
    stored = response.json()
    digest = hashlib.sha256(b"Hello").hexdigest()
    assert stored == stored | {
        "session_id": "s",
        "user_id": "",
        "name": "report.txt",
        "version": 2,
        "mime_type": "text/plain; charset=utf-8",
        "size": 5,
        "sha256": digest,
        "metadata": {"lang": "en"},
    }
    assert response["Location"] == f"http://testserver/api/artifacts/{stored['id']}"
    assert ada.get(f"artifacts/{stored['id']}") == stored
    own = send(ada, "artifacts?name=note", b"")
    assert (own["session_id"], own["user_id"], own["size"]) == ("", ada.user_id, 0)
    for query, found in (("", 3), ("?session_id=s", 2), ("?name=report.txt&page_size=1&count=true", 1), ("?name=x", 0)):
        page = ada.get(f"artifacts{query}")
        assert (len(page["results"]), page["count"]) == (found, 2 if "count" in query else None)
    fetched = ada.ask("GET", f"artifacts/{stored['id']}/content")
    assert body_of(fetched) == b"Hello"
    assert dict(fetched.headers) == dict(fetched.headers) | {
        "Content-Type": "text/plain; charset=utf-8",
        "Content-Length": "5",
        "Content-Disposition": 'attachment; filename="report.txt"',
        "Content-Security-Policy": "sandbox",
        "X-Content-Type-Options": "nosniff",
        "Cache-Control": "private, no-cache",
        "ETag": f'"{digest}"',
    }
    ada.delete(f"artifacts/{stored['id']}")
    for path in ("", "/content"):
        ada.get(f"artifacts/{stored['id']}{path}", 404)
    ada.delete(f"artifacts/{stored['id']}", 404)
    assert send(ada, "artifacts?name=report.txt&session_id=s", b"again")["version"] == 3


def test_a_form_names_its_file_and_may_say_more(ada: Api, site: Storage) -> None:
    def file(name: str = "a/b.png") -> SimpleUploadedFile:
        return SimpleUploadedFile(name, PNG, "image/png")

    plain = send_form(ada, file=file())
    assert (plain["name"], plain["mime_type"], plain["size"]) == ("b.png", "image/png", len(PNG))
    told = send_form(ada, file=file(), name="c", mime_type="image/x", metadata='{"a": 1.5}')
    assert (told["name"], told["mime_type"], told["metadata"]) == ("c", "image/x", {"a": 1.5})
    assert send_form(ada, path="artifacts?name=d", file=file())["name"] == "d"
    for wrong, fields in (
        ("file", {"name": "x"}),
        ("file", {"other": file()}),
        ("file", {"file": [file(), file()]}),
        ("metadata", {"file": file(), "metadata": "{"}),
        ("metadata", {"file": file(), "metadata": "[]"}),
        ("name", {"file": file(), "name": ["x", "y"]}),
        ("size", {"file": file(), "size": "1"}),
        ("user_id", {"file": file(), "user_id": "another"}),
        ("nothing", {"file": file(), "nothing": "x"}),
        ("sha256", {"file": file(), "sha256": "0" * 64}),
    ):
        with case(wrong, fields):
            assert refused(send_form(ada, 400, **fields)) == [wrong]
    assert refused(send(ada, "artifacts", b"x", status=400)) == ["name"]
    assert len(site.list_artifacts()) == 3


def test_it_is_there_for_who_sees_its_session_or_else_its_user(ada: Api, bob: Api, staff: Api, site: Storage) -> None:
    for name, user in (("hers", ada), ("his", bob), ("gone", ada)):
        site.create_session(Session(id=name, user_id=user.user_id))
    for session in ("", "hers", "his", "gone"):
        for user_id in ("", ada.user_id, bob.user_id):
            put(site, id=f"{user_id}-{session}", session_id=session, user_id=user_id)
    site.delete_session("gone")
    visible = {f"{ada.user_id}-", "-hers", f"{ada.user_id}-hers", f"{bob.user_id}-hers"}
    assert {each["id"] for each in ada.get("artifacts")["results"]} == visible
    his = {f"{bob.user_id}-", "-his", f"{ada.user_id}-his", f"{bob.user_id}-his"}
    assert {each["id"] for each in bob.get("artifacts")["results"]} == his
    assert len(staff.get("artifacts")["results"]) == 12
    for stored in site.list_artifacts():
        with case(stored.id):
            for path in ("", "/content"):
                answer = ada.ask("GET", f"artifacts/{stored.id}{path}")
                assert answer.status_code == (200 if stored.id in visible else 404)
                body_of(answer)
            ada.delete(f"artifacts/{stored.id}", 204 if stored.id in visible else 404)
    for session in ("his", "none", "gone"):
        assert session in send(ada, f"artifacts?name=n&session_id={session}", b"x", status=404)["detail"]
    assert {each.id for each in site.list_artifacts() if each.id in visible} == set()
    assert len(site.list_artifacts()) == 8


def test_staff_name_any_user_and_session_that_is_there(staff: Api, site: Storage) -> None:
    stored = send(staff, "artifacts?name=n&user_id=ann&id=chosen&created_at=2026-01-01T00:00:00Z", b"x")
    assert (stored["id"], stored["user_id"], stored["created_at"]) == ("chosen", "ann", "2026-01-01T00:00:00.000000Z")
    send(staff, "artifacts?name=n&session_id=none", b"x", status=404)


def test_only_images_that_are_what_they_are_said_to_be_are_shown(ada: Api, site: Storage) -> None:
    page = b"<script>alert(1)</script>"
    shown = {
        "image/png": PNG,
        "image/jpeg": b"\xff\xd8\xff\xe0rest",
        "image/gif": b"GIF89arest",
        "image/webp": b"RIFF\n\x00\n\x00WEBPrest",
    }
    others = {
        "image/svg+xml": page,
        "text/html": page,
        "image/png; charset=x": PNG,
        "IMAGE/PNG": PNG,
        "application/pdf": b"%PDF-",
        "": PNG,
        "text/html\r\nX-Bad: 1": page,
        "html": page,
        "té/xt": page,
    }
    wrong = [(kind, page) for kind in shown] + [("image/png", b"")]
    for kind, data in [*shown.items(), *others.items(), *wrong]:
        with case(kind, data):
            stored = site.put_artifact(Artifact(name="x.png", mime_type=kind, user_id=ada.user_id), data)
            for method in ("GET", "HEAD"):
                answer = ada.ask(method, f"artifacts/{stored.id}/content")
                how = "inline" if shown.get(kind) == data else "attachment"
                assert answer["Content-Disposition"] == f'{how}; filename="x.png"'
                told = kind if re.fullmatch(r"[\x20-\x7e]+/[\x20-\x7e]+", kind) else RAW
                assert (answer["Content-Type"], answer["Content-Length"]) == (told, str(len(data)))
                assert (answer["X-Content-Type-Options"], answer["Content-Security-Policy"]) == ("nosniff", "sandbox")
                assert body_of(answer) == (data if method == "GET" else b"")


def test_the_name_of_a_file_leads_nowhere(ada: Api, site: Storage) -> None:
    for name, wanted in (
        ("../../etc/passwd", '"_.._etc_passwd"'),
        ("a\nX-Bad: 1", '"a_X-Bad_ 1"'),
        ('a"; filename=b.exe', '"a_; filename=b.exe"'),
        ("C:\\x", '"C__x"'),
        ("..", '"artifact"'),
        ("Bericht für Ann.pdf", "utf-8''Bericht%20f%C3%BCr%20Ann.pdf"),
        ("gpj.\u202eexe", "utf-8''gpj.%E2%9F%A8U%2B202E%E2%9F%A9exe"),
    ):
        with case(name):
            stored = put(site, name=name, user_id=ada.user_id)
            answer = ada.ask("GET", f"artifacts/{stored.id}/content")
            assert answer["Content-Disposition"].replace("filename*=", "filename=") == f"attachment; filename={wanted}"
            body_of(answer)


def test_what_one_has_is_not_sent_again(ada: Api, site: Storage) -> None:
    stored = put(site, b"Hello", user_id=ada.user_id)
    path, tag = f"artifacts/{stored.id}/content", f'"{stored.sha256}"'
    unchanged = ada.ask("GET", path, If_None_Match=tag)
    assert (unchanged.status_code, unchanged["ETag"], body_of(unchanged)) == (304, tag, b"")
    for headers in ({"If_None_Match": '"x"'}, {"If_Match": tag}, {"Range": "bytes=1-2"}, {"Accept": "image/*"}):
        answer = ada.ask("GET", path, **headers)
        assert (answer.status_code, body_of(answer)) == (200, b"Hello")
    assert ada.get(path, 412, If_Match='"x"')["status"] == 412


def test_a_repeat_finds_what_the_first_one_stored(ada: Api, site: Storage) -> None:
    def sent(data: bytes) -> Any:
        headers = {"Idempotency-Key": "k"}
        return ada.client.post("/api/artifacts?name=n", data, content_type=RAW, headers=headers)

    first, again, other = sent(b"x"), sent(b"x"), sent(b"y")
    assert (first.status_code, again.status_code, other.status_code) == (201, 201, 409)
    assert (first.json(), again["Idempotent-Replayed"]) == (again.json(), "true")
    assert len(site.list_artifacts()) == 1


class _Sent(io.BytesIO):
    """A body that is read in pieces alone."""

    largest = 0

    def read(self, size: int | None = -1) -> bytes:
        assert size is not None
        assert 0 <= size <= 1024 * 1024
        return super().read(size)


def raw(asker: Api, body: bytes, kind: str = RAW, length: int | None = None) -> Any:
    """What is answered to a body that says it has another length."""
    environ = {
        "wsgi.input": _Sent(body),
        "CONTENT_LENGTH": str(len(body) if length is None else length),
        "CONTENT_TYPE": kind,
        "QUERY_STRING": "name=n",
    }
    return asker.client.request(REQUEST_METHOD="POST", PATH_INFO="/api/artifacts", **environ)


@pytest.mark.parametrize("kind", [RAW, "multipart/form-data; boundary=x"])
def test_what_is_too_large_or_ends_early_leaves_nothing(
    ada: Api, site: Storage, settings: Any, tmp_path: Any, monkeypatch: Any, kind: str
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    settings.FILE_UPLOAD_TEMP_DIR = str(tmp_path)
    settings.CHRONOS_STORAGE = {"API": {"MAX_BODY": 3_000_000}}
    data = b"d" * 2_900_000
    if kind != RAW:
        head = b'--x\r\nContent-Disposition: form-data; name="file"; filename="n"\r\n\r\n'
        data = head + data + b"\r\n--x--\r\n"
    for sent, length, status in (
        (data, len(data) + 10, 400),
        (data[:-100_000], len(data), 400),
        (data + bytes(200_000), None, 413),
    ):
        answer = raw(ada, sent, kind, length)
        assert answer.status_code == status
        assert answer["Content-Type"] == "application/problem+json"
    assert (site.list_artifacts(), files_of(site), list(tmp_path.iterdir())) == ([], [], [])
    assert raw(ada, data, kind).status_code == 201
    [stored] = site.list_artifacts()
    assert content(site, stored) == b"d" * 2_900_000
    fetched = ada.ask("GET", f"artifacts/{stored.id}/content")
    assert max(len(part) for part in fetched) <= 128 * 1024
    fetched.close()
    assert list(tmp_path.iterdir()) == []


def test_what_is_no_file_is_refused(ada: Api) -> None:
    for kind, more in (("application/x-www-form-urlencoded", {}), (RAW, {"Content_Encoding": "gzip"})):
        send(ada, "artifacts?name=n", b"x=1", kind, 415, **more)
    send(ada, "artifacts?name=n", b"no form", "multipart/form-data", 400)
    assert refused(send(ada, "artifacts?name=n&nothing=1", b"x", status=400)) == ["nothing"]


def test_under_asgi(committed_site: Storage) -> None:
    ada = signed_in("ada")
    data = bytes(range(256)) * 2000
    client = AsyncClient()
    client.cookies = ada.client.cookies

    async def send_and_fetch() -> list[bytes]:
        sent = await client.post("/api/artifacts?name=n", data, content_type=RAW)
        assert sent.status_code == 201
        fetched: Any = await client.get(f"/api/artifacts/{sent.json()['id']}/content")
        assert fetched.is_async
        return [part async for part in fetched]

    parts = async_to_sync(send_and_fetch)()
    following.READERS.close()
    assert b"".join(parts) == data
    assert len(parts) > 5
