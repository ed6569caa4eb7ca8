"""Where the pages are."""

from __future__ import annotations

import hashlib
from typing import Any

from django.http import HttpResponse
from django.urls import reverse
from django.utils.http import urlencode

from .compat import quote


class Redirect(HttpResponse):
    """Leads to another page of the admin's; Django refuses an address as long as that of the longest ids."""

    status_code = 302

    def __init__(self, url: str) -> None:
        super().__init__(headers={"Location": url})
        self.url = url


def address(row: Any, page: str, *more: str) -> str:
    """The address of a page about a row."""
    return reverse(f"admin:{row._meta.app_label}_{row._meta.model_name}_{page}", args=[quote(row.pk), *more])


def session_address(session_id: str, page: str = "change") -> str:
    """The address of a page about a session."""
    return reverse(f"admin:chronos_storage_session_{page}", args=[quote(session_id)])


def anchor(kind: str, pk: Any) -> str:
    """What an item of a timeline is called within its page; of a span's id, which may hold anything, only a digest."""
    return f"{kind}-{pk if isinstance(pk, int) else hashlib.sha256(str(pk).encode()).hexdigest()[:16]}"


def timeline_address(session_id: str, kind: str, pk: Any) -> str:
    """Where an item stands in its session's timeline."""
    return f"{session_address(session_id)}?{urlencode({'at': f'{kind}:{pk}'})}#{anchor(kind, pk)}"
