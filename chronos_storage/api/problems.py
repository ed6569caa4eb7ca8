"""Errors as problem details (RFC 9457), translated in one place."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import islice
from typing import Any

from django.core.exceptions import PermissionDenied, RequestDataTooBig, SuspiciousOperation
from django.db import DEFAULT_DB_ALIAS, Error, connections
from django.http import Http404
from rest_framework import status
from rest_framework.exceptions import APIException, ErrorDetail, ValidationError
from rest_framework.response import Response
from rest_framework.settings import api_settings
from rest_framework.views import exception_handler

from .. import codec, exceptions
from ..database_errors import worth_retrying
from ..records import Record, now
from .compat import roll_back
from .store import api_storage

MEDIA_TYPE = "application/problem+json"
#: What a type begins with; the rest names the kind of problem.
NAMESPACE = "urn:chronos-storage:problem:"
#: Errors that a problem lists, at most.
MAX_ERRORS = 20
#: Seconds after which a write that the database gave up is worth another attempt.
RETRY_AFTER = 1

#: What each error of ours is over HTTP: its status, its name and its title.
_PROBLEMS: dict[type[Exception], tuple[int, str, str]] = {
    exceptions.InvalidRecord: (status.HTTP_400_BAD_REQUEST, "invalid", "Invalid input"),
    exceptions.NotFound: (status.HTTP_404_NOT_FOUND, "not-found", "Not found"),
    exceptions.AlreadyExists: (status.HTTP_409_CONFLICT, "already-exists", "Already exists"),
    exceptions.AmbiguousId: (status.HTTP_409_CONFLICT, "ambiguous-id", "Ambiguous id"),
    exceptions.SequenceConflict: (status.HTTP_409_CONFLICT, "sequence-conflict", "Sequence conflict"),
    exceptions.StaleWriter: (status.HTTP_409_CONFLICT, "stale-writer", "Overtaken by another writer"),
    exceptions.FenceHeld: (status.HTTP_409_CONFLICT, "fence-held", "Held by another writer"),
    exceptions.LegalHold: (status.HTTP_409_CONFLICT, "legal-hold", "Under a legal hold"),
    exceptions.CursorExpired: (status.HTTP_410_GONE, "cursor-expired", "Cursor expired"),
    exceptions.AppendOnlyError: (status.HTTP_409_CONFLICT, "append-only", "Append-only"),
    exceptions.RetryTransaction: (status.HTTP_503_SERVICE_UNAVAILABLE, "retry", "Try again"),
    exceptions.StoreFailure: (status.HTTP_503_SERVICE_UNAVAILABLE, "store-failure", "The store can't do it"),
    exceptions.NotSupported: (status.HTTP_501_NOT_IMPLEMENTED, "not-supported", "Not supported"),
}
_TITLES = {
    400: "Invalid input",
    401: "Not authenticated",
    403: "Not allowed",
    404: "Not found",
    405: "Method not allowed",
    406: "Not acceptable",
    411: "Length required",
    412: "Precondition failed",
    413: "Body too large",
    415: "Unsupported media type",
    429: "Too many requests",
    503: "Try again",
}


class PreconditionFailed(APIException):
    status_code = status.HTTP_412_PRECONDITION_FAILED
    default_detail: str = "It has been changed since: read it again."
    default_code = "precondition-failed"


class LengthRequired(APIException):
    status_code = status.HTTP_411_LENGTH_REQUIRED
    default_detail = "A body must come with a Content-Length, not in chunks."
    default_code = "length-required"


class BodyTooLarge(APIException):
    status_code = status.HTTP_413_REQUEST_ENTITY_TOO_LARGE
    default_code = "body-too-large"


def problem(code: int, name: str, title: str, detail: str, **more: Any) -> Response:
    """A response with problem details."""
    body = {"type": NAMESPACE + name, "title": title, "status": code, "detail": detail, **more}
    # A message may quote what was refused because it is no text.
    return Response(codec.scrub(body), status=code)


@contextmanager
def placed(name: str, given: Iterable[Record]) -> Iterator[None]:
    """Within the block these records, a batch's under this name, are stored: what is wrong with one says with which."""
    try:
        yield
    except exceptions.InvalidRecord:
        for place, record in enumerate(given):
            try:
                record.cleaned()
            except exceptions.InvalidRecord as error:
                raise exceptions.InvalidRecord(f"{name}[{place}].{error.field}", error.problem) from None
        raise


def handle(error: Exception, context: dict[str, Any]) -> Response | None:
    """The answer to an error: DRF's exception handler for the views of the API; None for one that is a bug."""
    if isinstance(error, Error):
        error = worth_retrying(connections[api_storage().backend.using or DEFAULT_DB_ALIAS], error) or error
    for kind, (code, name, title) in _PROBLEMS.items():
        if isinstance(error, kind):
            roll_back()
            response = problem(code, name, title, str(error), **_details(error))
            if kind is exceptions.RetryTransaction:  # of a store that can't do it, nobody knows when it can
                response["Retry-After"] = str(RETRY_AFTER)
            if "retry_after" in response.data:
                response["Retry-After"] = str(response.data["retry_after"])
            return response
    if isinstance(error, RequestDataTooBig):
        error = BodyTooLarge("the body is larger than the server takes")
    elif isinstance(error, SuspiciousOperation):
        error = ValidationError({"body": "can't be read"})
    plain = exception_handler(error, context)
    if plain is None:
        return None
    translated = of_framework(error, plain.status_code)
    for header, value in plain.items():
        translated[header] = value
    return translated


def _details(error: Exception) -> dict[str, Any]:
    if isinstance(error, exceptions.InvalidRecord):
        return {"errors": [{"field": error.field, "detail": error.problem}]}
    if isinstance(error, exceptions.SequenceConflict):
        return {"expected": error.expected, "actual": error.actual}
    if isinstance(error, exceptions.StaleWriter):
        return {"token": error.current}
    if isinstance(error, exceptions.FenceHeld):
        seconds = (error.expires_at - now()).total_seconds()
        expires_at = error.expires_at.isoformat(timespec="microseconds").replace("+00:00", "Z")
        return {"holder": error.holder, "expires_at": expires_at, "retry_after": max(1, math.ceil(seconds))}
    return {}


def of_framework(error: Exception, code: int) -> Response:
    """The answer to an error of the framework's, as which it has this status."""
    title = _TITLES.get(code, "Error")
    if isinstance(error, ValidationError):
        errors = list(islice(_flat(error.detail), MAX_ERRORS))
        detail = "; ".join(f"{each['field']}: {each['detail']}" if each["field"] else each["detail"] for each in errors)
        return problem(code, "invalid", title, detail, errors=errors)
    if isinstance(error, Http404):
        return problem(code, "not-found", title, "There is no such thing here.")
    if isinstance(error, PermissionDenied):
        return problem(code, "permission-denied", title, "You may not do this.")
    assert isinstance(error, APIException)
    wait = getattr(error, "wait", None)
    more = {} if wait is None else {"retry_after": int(wait)}
    name, detail = error.get_codes(), str(error.detail)
    if not isinstance(name, str):  # an error of a library's that says several things, the matter first
        name, detail = error.default_code, next(_flat(error.detail))["detail"]
    return problem(code, str(name).replace("_", "-"), title, detail, **more)


def _flat(detail: Any, path: str = "") -> Iterator[dict[str, str]]:
    """Each error of a nest of errors, with the path of its field."""
    if isinstance(detail, dict):
        for name, inner in detail.items():
            yield from _flat(inner, _inside(path, name))
    elif isinstance(detail, list):
        for place, inner in enumerate(detail):
            yield from _flat(inner, path if isinstance(inner, ErrorDetail) else f"{path}[{place}]")
    else:
        yield {"field": path, "detail": str(detail)}


def _inside(path: str, name: Any) -> str:
    """The path of what stands under a name, or in a list in a place."""
    if name == api_settings.NON_FIELD_ERRORS_KEY:
        return path
    if isinstance(name, int):
        return f"{path}[{name}]"
    return f"{path}.{name}" if path else str(name)
