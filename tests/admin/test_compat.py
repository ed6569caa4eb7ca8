"""What the admin's `compat` uses of Django's without being documented."""

from __future__ import annotations

from typing import Any

import pytest
from django import forms
from django.contrib import admin
from django.test import RequestFactory

from chronos_storage.admin import compat
from chronos_storage.models import Container
from tests.conftest import ONLY_SQLITE


class Shown(compat.PagedChangeList):
    def own_parameters(self):
        return {"ours"}

    def chosen(self, request, rows):
        return rows.exclude(id=request.GET["ours"])

    def total_order(self, first):
        assert first == "-created_at"
        return ["-created_at", "-id"]

    def page(self, request, rows):
        assert rows.query.order_by == ("-created_at", "-id")
        return list(rows[:2])


class ContainerAdmin(admin.ModelAdmin):
    list_display = ("id", "created_at")
    ordering = ("-created_at",)

    def get_changelist(self, request, **kwargs):
        return Shown


@pytest.mark.parametrize("alias", ONLY_SQLITE)
def test_a_list_takes_its_rows_order_and_page_from_methods_of_its_own(alias, admin_user):
    for name in "abcd":
        Container.objects.create(id=name, config={})
    request = RequestFactory().get("/", {"ours": "d", "id__gt": "a"})
    request.user = admin_user
    shown: Any = ContainerAdmin(Container, admin.site).get_changelist_instance(request)
    assert [row.id for row in shown.result_list] == ["c", "b"]
    assert shown.result_count == 2
    assert (shown.key, shown.given) == ("id", {"ours": ["d"], "id__gt": ["a"]})
    assert sorted(shown.link({"after": "x"}, ["ours"])[1:].split("&")) == ["after=x", "id__gt=a"]


@pytest.mark.parametrize("id", ["a/b", "a?b_c", "_5F", "é#", '"<&>'])
def test_an_id_is_a_part_of_an_address_and_back(id):
    quoted = compat.quote(id)
    assert not set(quoted) & set('/?#"<&>')
    assert compat.unquote(quoted) == id


@pytest.mark.parametrize("alias", ONLY_SQLITE)
def test_a_lookup_that_makes_no_sense_shows_the_list_again(alias, admin_client, monkeypatch):
    def page(self, request, rows):
        raise compat.IncorrectLookupParameters

    monkeypatch.setattr("chronos_storage.admin.lists.KeysetChangeList.page", page)
    response = admin_client.get("/admin/chronos_storage/session/")
    assert (response.status_code, response.url) == (302, "/admin/chronos_storage/session/?e=1")


def test_a_mistake_in_json_is_shown_as_it_was_typed():
    class Form(forms.Form):
        value = compat.JSONAsTyped()

    form = Form({"value": '{"a":  1'})
    assert not form.is_valid()
    assert "{&quot;a&quot;:  1<" in str(form["value"])
