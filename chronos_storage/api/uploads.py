"""Files that come in: read in pieces, never whole, and what is said of them beside."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from typing import Any

from django.core.files.uploadhandler import TemporaryFileUploadHandler
from django.http import HttpRequest
from rest_framework.exceptions import ParseError, UnsupportedMediaType, ValidationError
from rest_framework.parsers import MultiPartParser

from .json_media import max_body, refuse_encoded
from .problems import BodyTooLarge

FORM = "multipart/form-data"
#: What says nothing of the bytes: programs send it where nobody has told them a type.
_FIELDS_ALONE = "application/x-www-form-urlencoded"


class _Body:
    """The body of a request, to be read in pieces: all of its bytes.

    Raises:
        BodyTooLarge: it is larger than what is taken.
    """

    def __init__(self, request: HttpRequest) -> None:
        self._request = request
        self._left = int(request.META.get("CONTENT_LENGTH") or 0)
        if self._left > max_body():
            raise BodyTooLarge(f"the body is larger than {max_body():,} bytes")

    def read(self, size: int = -1) -> bytes:
        """So many bytes, or less; none at the end.

        Raises:
            ParseError: it ended before it had its length: who sent it is gone.
        """
        wanted = self._left if size < 0 else min(size, self._left)
        piece: bytes = self._request.read(wanted)
        if wanted and not piece:
            raise ParseError("the body ended before it had its Content-Length")
        self._left -= len(piece)
        return piece


@contextmanager
def uploaded(request: HttpRequest) -> Iterator[tuple[dict[str, str], Any]]:
    """What a request says of a file, and the file, which can be read in the block.

    The body is a form with one file, whose name and media type are the artifact's unless its fields say others; or it
    is the file, whose media type is the body's.

    Raises:
        BodyTooLarge: as it says.
        UnsupportedMediaType: it is compressed, or doesn't say what it is.
        ParseError, ValidationError: it can't be read as a form with one file, or ended early.
    """
    refuse_encoded(request)
    if request.content_type == _FIELDS_ALONE:
        raise UnsupportedMediaType(_FIELDS_ALONE, f"send a file as what it is, or as {FORM}, not as {_FIELDS_ALONE}")
    body = _Body(request)
    if request.content_type != FORM:
        yield {"mime_type": request.META.get("CONTENT_TYPE", "")}, body
        return
    handler = TemporaryFileUploadHandler(request)
    request.upload_handlers = [handler]
    try:
        form: Any = MultiPartParser().parse(body, request.META["CONTENT_TYPE"], {"request": request})  # type: ignore[arg-type]
    except BaseException:
        handler.upload_interrupted()  # which Django doesn't say, and its file would stay for a while
        raise
    with ExitStack() as opened:
        files = {
            name: [opened.enter_context(closing(file)) for file in several] for name, several in form.files.lists()
        }
        if {name: len(several) for name, several in files.items()} != {"file": 1}:
            raise ValidationError({"file": "must be one file, and the only one of the form"})
        for name, values in form.data.lists():
            if len(values) > 1:
                raise ValidationError({name: "is given more than once"})
        [file] = files["file"]
        yield {"name": file.name, "mime_type": file.content_type or "", **form.data.dict()}, file
