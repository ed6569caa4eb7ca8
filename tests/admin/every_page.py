"""The addresses of all pages of the admin, among what `night` stores."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.contrib.admin.utils import quote
from django.contrib.auth.models import User
from django.urls import resolve, reverse

from chronos_storage.api.keys.models import ApiKey
from chronos_storage.models import Checkpoint
from chronos_storage.queues.orm import OrmQueue
from chronos_storage.records import Embedding
from chronos_storage.vectors.models import Collection
from chronos_storage.vectors.stores import database_store
from tests.admin.night import BAD, a_night
from tests.admin.pages import DELETABLE, url

#: What Django adds to the models' own names; `add` is nobody's but API keys'.
_APPS = ("chronos_storage", "chronos_vectors", "chronos_keys")
#: Addresses that are no pages to look at: files, answers to who is on a page already, and what leads to another.
NO_PAGES = ("content", "download", "export", "live", "medium", "stats", "next_error", "previous_error")


def a_whole_night(storage: Any, others: int) -> None:
    """The night, and a queue and vectors besides."""
    a_night(storage, others=others)
    first = Checkpoint.objects.using(storage.alias).filter(session_id=BAD).earliest("seq_num")
    storage.fork_session(first.checkpoint_id, session_id=BAD, id="fork", title="Refund, tried again")
    storage.delete_session("session-001")
    queue = OrmQueue(using=storage.alias)
    cursors = [queue.publish("refunds", {"order": number}) for number in range(5)]
    queue.ack("mailer", "refunds", cursors[1])
    queue.publish(f"session:{BAD}", {"node": "act"})
    ApiKey.objects.create_key(owner=User.objects.get(is_superuser=True), name="shop", scopes=["read"])
    store = database_store(using=storage.alias)
    store.create_collection("docs", 2)
    store.upsert("docs", [Embedding(id=f"doc-{n}", vector=[1, n], content=f"Page {n}") for n in range(4)])


def models() -> list[Any]:
    """All that the admin has pages for."""
    return [model for model in admin.site._registry if model._meta.app_label in _APPS]


def every_page() -> dict[str, str]:
    """The addresses by name, of pages of the database that the site uses."""
    pages = {"home": reverse("admin:index")}
    for app in _APPS[:2]:
        pages[app] = reverse("admin:app_list", args=[app])
    for model in models():
        name = model._meta.model_name
        pages[f"{name}-list"] = _of(model, "changelist")
        row = model._default_manager.filter(pk=BAD).first() if name == "session" else model._default_manager.first()
        if row is not None:
            pages[name] = _of(model, "change", row)
            pages[f"{name}-history"] = _of(model, "history", row)
            if name in DELETABLE:
                pages[f"{name}-delete"] = _of(model, "delete", row)
    return pages | _of_the_session() | _of_the_rest()


def _of(model: Any, page: str, row: Any = None) -> str:
    name = f"admin:{model._meta.app_label}_{model._meta.model_name}_{page}"
    return reverse(name, args=[] if row is None else [quote(row.pk)])


def _of_the_session() -> dict[str, str]:
    first, *_, last = Checkpoint.objects.filter(session_id=BAD).order_by("seq_num").values_list("pk", flat=True)
    about = url("session", "change", BAD).removesuffix("change/")
    return {
        "session-of-no-error": url("session", "change", "session-000"),
        "deleted-session": url("session", "change", "session-001"),
        "fork": url("session", "change", "fork"),
        **{
            name: f"{about}{name}/"
            for name in ("spans", "tokens", "context", "checkpoints", "verdict", "hold", "removal")
        },
        "compare": f"{about}compare/?a={first}&b={last}",
        "forking": f"{about}fork/{first}/",
        "overview": url("session", "overview"),
    }


def _of_the_rest() -> dict[str, str]:
    collection = Collection.objects.get(name="docs")
    return {
        "audit-verdict": url("auditlog", "verdict") + "?agent_id=support",
        "image-family": url("image", "change", "support-1"),
        "picture": url("artifact", "change", "receipt"),
        "similar": _of(Collection, "change", collection) + "?similar=doc-1",
    }


def not_looked_at() -> set[str]:
    """The names of pages that no address of `every_page` is of."""
    named = {pattern.name for model in models() for pattern in admin.site._registry[model].get_urls()}
    seen = {resolve(address.partition("?")[0]).url_name for address in every_page().values()}
    return {name for name in named - seen if name and not name.endswith((*NO_PAGES, "add", "delete"))}
