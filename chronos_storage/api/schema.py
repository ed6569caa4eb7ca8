"""The OpenAPI 3.1 document: what drf-spectacular can't see of the views is added here."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from drf_spectacular.openapi import AutoSchema
from drf_spectacular.utils import OpenApiParameter, extend_schema

from .examples import REQUESTS
from .headers import COMMON, common_headers, headers_of
from .ids import LIST_PATTERN, MAX_NAMES, PATTERN
from .problems import MEDIA_TYPE

F = TypeVar("F", bound=Callable[..., Any])


_CHOSEN = [
    OpenApiParameter(
        "fields",
        str,
        description="Only these fields of each record, separated by commas. All others are left out, also those that"
        " are required below: a client that is generated from this document takes whole records, and asks without.",
    ),
    OpenApiParameter(
        "ids",
        {"type": "string", "pattern": LIST_PATTERN},
        description=f"Only the records of these ids, at most {MAX_NAMES}, separated by commas; spelled as in paths.",
    ),
]


class ApiSchema(AutoSchema):
    """Adds the parameters that lists have, and the headers."""

    def get_override_parameters(self) -> list[Any]:
        return [*self._chosen(), *headers_of(self.view, self.method, self._answered())]

    def _chosen(self) -> list[Any]:
        action = getattr(self.view, "action", "")
        known: Any = getattr(self.view, "query_parameters", tuple)()
        if not (action in ("list", "retrieve") and "fields" in known):
            return []
        chosen = [parameter for parameter in _CHOSEN if parameter.name in known]
        if orders := list(getattr(self.view, "orders", ())) if action == "list" else []:
            chosen.append(OpenApiParameter("order", str, enum=orders, default=orders[0]))
        return chosen

    def _answered(self) -> Any:
        """What makes the answer to a success."""
        made: Any = self.get_response_serializers()
        if isinstance(made, dict):
            made = next(iter(made.values()))
        return made if isinstance(made, type) else type(made)

    def get_tags(self) -> list[str]:
        return [self._tokenize_path()[0]]


def documented(**said: Any) -> Callable[[F], F]:
    """`extend_schema` for a method of a view, also in a project whose own views have another schema class."""

    def decorate(method: F) -> F:
        method.kwargs = {**getattr(method, "kwargs", {}), "schema": ApiSchema}  # type: ignore[attr-defined]
        return extend_schema(**said)(method)

    return decorate


#: The settings of drf-spectacular under which the document is made, whatever the project's own are.
SETTINGS: dict[str, Any] = {
    "OAS_VERSION": "3.1.0",
    "TITLE": "chronos_storage",
    "DESCRIPTION": "Sessions, messages, memory, audit logs, traces, events, checkpoints and artifacts of AI agents.",
    "VERSION": "1",
    "COMPONENT_SPLIT_REQUEST": True,
    "SCHEMA_PATH_PREFIX": "",
    "POSTPROCESSING_HOOKS": ["chronos_storage.api.schema.complete"],
}

#: What is answered besides successes, by the status.
_ANSWERS = {
    304: "It is as it was.",
    400: "What was sent isn't right.",
    401: "Not signed in.",
    403: "Not allowed.",
    404: "Not there for this user.",
    406: "Only JSON is served.",
    409: "It conflicts with what is stored.",
    410: "Some of what came after that place is not kept any more.",
    411: "The body came without a Content-Length.",
    412: "It has been changed since.",
    413: "The body is too large.",
    415: "The body must be JSON, but for a file, and come as it is.",
    429: "Asked too often, or for too much at once.",
    501: "The site runs under WSGI, and live streams need ASGI.",
    503: "The server or its database is busy: try again; or, as `store-failure`, the store can't do it.",
}
_ALWAYS = {400, 401, 403, 404, 406, 429, 503}
_WITH_BODY = {409, 411, 413, 415}

_PROBLEM: dict[str, Any] = {
    "type": "object",
    "description": "Problem details (RFC 9457).",
    "required": ["type", "title", "status", "detail"],
    "properties": {
        "type": {"type": "string", "format": "uri", "description": "Names the kind of problem."},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "errors": {
            "type": "array",
            "description": "Each field that isn't right.",
            "items": {
                "type": "object",
                "required": ["field", "detail"],
                "properties": {"field": {"type": "string"}, "detail": {"type": "string"}},
            },
        },
        "expected": {"type": "integer", "description": "The last number that was expected."},
        "actual": {"type": "integer", "description": "The last number that is stored."},
        "token": {"type": "integer", "description": "The session's token."},
        "holder": {"type": "string", "description": "Who holds the session."},
        "expires_at": {"type": "string", "format": "date-time", "description": "Until when."},
        "retry_after": {"type": "integer", "description": "Seconds until it can be tried again."},
    },
    "example": {
        "type": "urn:chronos-storage:problem:sequence-conflict",
        "title": "Sequence conflict",
        "status": 409,
        "detail": "expected the last number to be 3, it is 5",
        "expected": 3,
        "actual": 5,
    },
}


def complete(result: dict[str, Any], generator: Any, request: Any, public: bool) -> dict[str, Any]:
    """A hook of drf-spectacular: what operations may answer besides their success, and what ids in paths look like."""
    components = result["components"]
    schemas = components.setdefault("schemas", {})
    for name, schema in schemas.items():
        if name.endswith("Request"):
            schema["additionalProperties"] = False  # a field that isn't known is refused
        elif "properties" in schema:
            schema["required"] = sorted(schema["properties"])  # what is answered has all of its fields
    schemas["Problem"] = _PROBLEM
    components["headers"] = COMMON
    components["responses"] = {f"Answer{status}": _answer(status, said) for status, said in _ANSWERS.items()}
    if request is not None:
        result["servers"] = [{"url": request.path.removesuffix("/schema")}]
    for operations in result["paths"].values():
        for operation in operations.values():
            _complete(operation)
    return result


def _answer(status: int, description: str) -> dict[str, Any]:
    answer: dict[str, Any] = {"description": description, "headers": common_headers(status)}
    if status >= 400:
        answer["content"] = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    return answer


def _complete(operation: dict[str, Any]) -> None:
    answers = set(_ALWAYS)
    if "requestBody" in operation:
        answers |= _WITH_BODY
        operation["requestBody"]["required"] = True  # even where all of its fields may be left out
        for body in operation["requestBody"]["content"].values():
            schema = body["schema"]
            name = schema.get("$ref", schema.get("format", "metadata")).rpartition("/")[2]
            body["examples"] = {"example": {"value": REQUESTS[name]}}
    parameters = {parameter["name"]: parameter for parameter in operation.get("parameters", ())}
    for parameter in parameters.values():
        if parameter["in"] == "path":
            parameter["schema"]["pattern"] = PATTERN
            parameter["description"] = "The id, or where a path can't hold it, `~` and its base64url without padding."
    if "If-None-Match" in parameters:
        answers.add(304)
    if "Fence" in parameters:
        answers.add(409)
    if "If-Match" in parameters:
        answers.add(412)
    if "after" in parameters and "page_size" not in parameters:  # a page of spans begins after one that stays
        answers.add(410)
    if "Last-Event-ID" in parameters:
        answers.add(501)
    responses = operation["responses"]
    for status, success in responses.items():
        success.setdefault("headers", {}).update(common_headers(int(status)))
    responses |= {str(status): {"$ref": f"#/components/responses/Answer{status}"} for status in answers}
    operation["responses"] = dict(sorted(responses.items()))
