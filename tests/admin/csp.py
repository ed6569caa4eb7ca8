"""The strictest policy that still serves a site: nothing inline, nothing from elsewhere."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

POLICY = "default-src 'self'"


def strict(get_response: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """The middleware that sends it; Django 5.2 has none of its own."""

    def respond(request: Any) -> Any:
        response = get_response(request)
        response["Content-Security-Policy"] = POLICY
        return response

    return respond
