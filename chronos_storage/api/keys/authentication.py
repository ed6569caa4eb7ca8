"""Signing in by an API key: ``Authorization: Api-Key …``."""

from __future__ import annotations

import re
from typing import Any

from drf_spectacular.extensions import OpenApiAuthenticationExtension
from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request

from .models import ApiKey

_KEYWORD = "Api-Key"
#: What the library makes: a prefix by which the row is found, and the secret.
_KEY = re.compile(r"[A-Za-z0-9]{8}\.[A-Za-z0-9]{32}")


class ApiKeyAuthentication(BaseAuthentication):
    """Signs in the owner of the key in the header ``Authorization``, and nowhere else is a key looked for.

    Name it in DRF's ``DEFAULT_AUTHENTICATION_CLASSES``. `request.auth` becomes the `ApiKey`.
    """

    def authenticate(self, request: Request) -> tuple[Any, ApiKey] | None:
        keyword, _, text = request.headers.get("Authorization", "").partition(" ")
        if keyword.lower() != _KEYWORD.lower():
            return None
        key = _find(text.strip())
        # why not is nobody's business who doesn't have the key
        if key is None or key.has_expired or not key.owner.is_active:
            raise AuthenticationFailed("The API key isn't valid, or is so no more.")
        return key.owner, key

    def authenticate_header(self, request: Request) -> str:
        return _KEYWORD


def _find(text: str) -> Any:
    """The key that is neither made up nor revoked, or None."""
    if not _KEY.fullmatch(text):
        return None
    try:
        return ApiKey.objects.get_from_key(text)
    except ApiKey.DoesNotExist:
        return None


class _Documented(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    """What the OpenAPI document says of it, where a project uses it."""

    target_class = ApiKeyAuthentication
    name = "apiKeyAuth"

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:
        description = f"`{_KEYWORD}`, a space, and the key."
        return {"type": "apiKey", "in": "header", "name": "Authorization", "description": description}
