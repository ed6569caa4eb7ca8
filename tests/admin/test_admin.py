"""The admin: what each user sees, and that the ledger stays as it is."""

from __future__ import annotations

import pytest
from django.apps import apps
from django.contrib import admin
from django.test import Client
from django.urls import reverse

from chronos_storage.fields import JSONTextField, MetadataField
from chronos_storage.testing.conformance.helpers import everything
from tests.admin.pages import DELETABLE, LEDGER, NAMES, VALUE, act, first, model, populate, url
from tests.conftest import ONLY_SQLITE, SQLITE_AND_POSTGRES, alias_of

alias = alias_of(SQLITE_AND_POSTGRES)

#: Models whose primary key is a number.
BY_NUMBER = ("message", "event", "checkpoint", "head", "queueentry", "consumer")

# Who sees what


def test_every_model_is_there(site, superuser) -> None:
    every = {model._meta.model_name for model in apps.get_app_config("chronos_storage").get_models()}
    # These are shown as the states that are made of them, with their sessions, and as the artifacts' files.
    assert every == {*NAMES, "checkpointitems", "fence", "blob"}
    page = superuser.get(reverse("admin:app_list", args=["chronos_storage"]))
    for name in NAMES:
        assert url(name) in page.content.decode()
        assert admin.site.is_registered(model(name))


@pytest.mark.parametrize("alias", ONLY_SQLITE, indirect=True)
def test_pages(site, superuser, viewer, stranger) -> None:
    populate(site)
    for name in NAMES:
        pk = first(name).pk
        pages = {
            url(name): (200, 200, 403),
            url(name, "change", pk): (200, 200, 403),
            url(name, "history", pk): (200, 200, 403),
            url(name, "add"): (403, 403, 403),
            url(name, "delete", pk): (200 if name in DELETABLE else 403, 403, 403),
            url(name, "change", "no-such" if name not in BY_NUMBER else 0): (302, 302, 403),
        }
        for address, statuses in pages.items():
            assert tuple(c.get(address).status_code for c in (superuser, viewer, stranger)) == statuses, address
            assert Client().get(address).status_code == 302, address  # to the login page


def test_json_is_shown_as_json(site, viewer, superuser) -> None:
    populate(site)
    for name in NAMES:
        row = first(name)
        fields = [f.name for f in row._meta.concrete_fields if isinstance(f, JSONTextField | MetadataField)]
        shown = sum(getattr(row, field) in (VALUE, [VALUE]) for field in fields)
        for client in (viewer, superuser):
            text = client.get(url(name, "change", row.pk)).content.decode()
            assert "{&#x27;" not in text, name
            assert text.count("&lt;b&gt;&amp;é") >= shown, name
            assert "<b>&é" not in text, name


def test_a_viewer_changes_nothing(site, viewer) -> None:
    populate(site)
    before = everything(site)
    for name in NAMES:
        row = first(name)
        assert viewer.post(url(name, "change", row.pk), {"title": "x", "value": "1"}).status_code == 403
        assert viewer.post(url(name, "delete", row.pk), {"post": "yes"}).status_code == 403
        assert viewer.post(url(name, "add"), {"id": "x"}).status_code == 403
        act(viewer, name, row.pk)
    assert everything(site) == before


# The ledger


@pytest.mark.parametrize("name", LEDGER)
def test_the_ledger_stays_as_it_is_for_a_superuser_too(site, superuser, name: str) -> None:
    populate(site)
    rows = list(model(name).objects.order_by("pk").values())
    row = first(name)
    crafted = {field.name: "x" for field in row._meta.concrete_fields} | {"_save": "Save", "session": "s"}
    assert superuser.post(url(name, "change", row.pk), crafted).status_code == 403
    assert superuser.post(url(name, "add"), crafted).status_code == 403
    assert superuser.post(url(name, "delete", row.pk), {"post": "yes"}).status_code == 403
    act(superuser, name, row.pk)
    edited = {"form-TOTAL_FORMS": "1", "form-INITIAL_FORMS": "1", "form-0-id": row.pk, "form-0-type": "x", "_save": "y"}
    assert superuser.post(url(name), edited).status_code in (200, 302, 403)
    page = superuser.get(url(name)).content.decode()
    assert '<select name="action"' not in page
    assert "action-checkbox" not in page
    assert list(model(name).objects.order_by("pk").values()) == rows
    assert all(verdict.intact for verdict in site.verify_all())


# What belongs to a session keeps its numbers


@pytest.mark.parametrize("name", ["message", "checkpoint", "trace"])
def test_what_belongs_to_a_session_is_only_looked_at(site, superuser, name: str) -> None:
    populate(site)
    before = everything(site)
    row = first(name)
    assert superuser.post(url(name, "change", row.pk), {"seq_num": "7", "role": "x"}).status_code == 403
    assert superuser.post(url(name, "add"), {"session": "s", "seq_num": "7"}).status_code == 403
    assert superuser.post(url(name, "delete", row.pk), {"post": "yes"}).status_code == 403
    act(superuser, name, row.pk)
    assert everything(site) == before
