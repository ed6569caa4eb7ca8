"""What a page asks the REST API by curl, asked of the test client."""

from __future__ import annotations

import argparse
from pathlib import Path
from urllib.parse import urlsplit

from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

_CURL = argparse.ArgumentParser()
for _option in ("-H", "-F"):
    _CURL.add_argument(_option, action="append")
for _option in ("--data-binary", "-d", "-X", "-o"):
    _CURL.add_argument(_option)
_CURL.add_argument("url")


def send(client: Client, arguments: list[str]) -> str:
    """The body of the answer, which must be a good one."""
    given = _CURL.parse_args(arguments)
    headers = dict(header.split(": ") for header in given.H or ())
    url = urlsplit(given.url)
    address = f"{url.path}?{url.query}"
    body = given.data_binary or given.d
    if given.F:
        fields = dict(field.split("=") for field in given.F)
        form = {name: _file(value[1:]) if value.startswith("@") else value for name, value in fields.items()}
        answer = client.post(address, form, headers=headers)
    elif body:
        data = Path(body[1:]).read_bytes() if body.startswith("@") else body
        answer = client.post(address, data, content_type=headers.pop("Content-Type"), headers=headers)
    else:
        answer = client.generic(given.X or "GET", address, headers=headers)
    content = b"".join(answer) if answer.streaming else answer.content
    assert answer.status_code < 400, content
    if given.o:
        Path(given.o).write_bytes(content)
    return content.decode()


def _file(path: str) -> SimpleUploadedFile:
    return SimpleUploadedFile(path, Path(path).read_bytes(), "text/plain")
