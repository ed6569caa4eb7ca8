"""Artifacts as files that a browser keeps, or shows where they are images: for the REST API and the admin."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from io import BufferedReader

from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.utils.http import content_disposition_header
from django.views.decorators.http import etag

from .records import Artifact
from .sending import PART, streamed
from .text import visible

#: The images that browsers show without running what may be in them: how their bytes begin, by their media types.
IMAGES: dict[str, re.Pattern[bytes]] = {
    "image/png": re.compile(rb"\x89PNG\r\n\x1a\n"),
    "image/jpeg": re.compile(rb"\xff\xd8\xff"),
    "image/gif": re.compile(rb"GIF8[79]a"),
    "image/webp": re.compile(rb"RIFF.{4}WEBP", re.DOTALL),
}
_NAME = r"[A-Za-z0-9!#$&^_.+-]+"
_MEDIA_TYPE = re.compile(rf"{_NAME}/{_NAME}(?: *;[\x20-\x7e]*)?")
#: What has a meaning in a path, on one system or another, or can't stand in a header.
_NOT_IN_NAMES = re.compile(r'[\x00-\x1f/\\:*?"<>|]')


def download(request: HttpRequest, artifact: Artifact, open_: Callable[[], BufferedReader]) -> HttpResponseBase:
    """A response with an artifact's bytes, read while it is sent; 304 where the request names their digest, and 412
    where it asks for others.

    Args:
        open_: opens them.
    """
    sent: Callable[[HttpRequest], HttpResponseBase] = etag(lambda request: f'"{artifact.sha256}"')(
        lambda request: _response(request, artifact, open_())
    )
    return sent(request)


def _response(request: HttpRequest, artifact: Artifact, file: BufferedReader) -> HttpResponseBase:
    try:
        shown = _is_image(artifact, file)
    except BaseException:
        file.close()
        raise
    headers = {
        "Content-Type": artifact.mime_type if _MEDIA_TYPE.fullmatch(artifact.mime_type) else "application/octet-stream",
        "Content-Length": str(artifact.size),
        "Content-Disposition": content_disposition_header(not shown, file_name(artifact.name)) or "attachment",
        # Whatever it is, it runs nothing with the site's rights, and is taken for nothing else than it is said to be.
        "Content-Security-Policy": "sandbox",
        "X-Content-Type-Options": "nosniff",
    }
    if request.method == "HEAD":
        file.close()
        return HttpResponse(headers=headers)
    return streamed(request, _pieces(file), release=file.close, headers=headers)


def _is_image(artifact: Artifact, file: BufferedReader) -> bool:
    """Whether it may be shown, as it is what it is said to be, and that is one of `IMAGES`."""
    start = file.peek(PART)  # at all times: what is small and damaged is found before anything is sent
    beginning = IMAGES.get(artifact.mime_type)
    return beginning is not None and beginning.match(start) is not None


def _pieces(file: BufferedReader) -> Iterator[bytes]:
    while piece := file.read(PART):
        yield piece


def file_name(name: str) -> str:
    """The name of an artifact as that of a file: it leads nowhere, and hides nothing of itself."""
    return _NOT_IN_NAMES.sub("_", visible(name)).strip(" .") or "artifact"
