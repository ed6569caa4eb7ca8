"""What the API's `compat` uses of Django and of Django REST framework without being documented."""

from __future__ import annotations

import pytest
from django.core.checks import Error
from django.db import connections, transaction
from django.http import HttpResponse
from django.test import RequestFactory
from rest_framework import serializers
from rest_framework.request import Request

from chronos_storage.api import compat
from chronos_storage.models import Container
from tests.conftest import ONLY_SQLITE


def test_a_path_has_a_check_of_its_own():
    error = Error("no")
    path = compat.checked_path(lambda: [error], HttpResponse, name="root")
    assert path.check() == [error]
    found = path.resolve("")
    assert (found.func, found.url_name) == (HttpResponse, "root")
    assert path.resolve("more") is None


@pytest.mark.parametrize(("tag", "status"), [('"a"', 304), ('W/"a"', 304), ("*", 304), ('"b"', 200)])
def test_a_request_that_knows_the_etag_is_answered_without_a_body(tag, status):
    request = RequestFactory().get("/", headers={"If-None-Match": tag})
    response = HttpResponse("body")
    answer = compat.conditional_response(request, '"a"', response)
    assert answer.status_code == status
    assert (answer is response) == (status == 200)


def test_a_class_of_serializers_says_what_its_fields_are():
    class Inherited(serializers.Serializer):
        a = serializers.CharField()

    class Some(Inherited):
        b = serializers.IntegerField(read_only=True)

    fields = compat.declared_fields(Some)
    assert list(fields) == list(Some().fields) == ["a", "b"]
    assert (fields["b"].read_only, fields["b"].to_representation("1")) == (True, 1)


def test_the_frameworks_request_stands_around_djangos():
    request = RequestFactory().get("/")
    assert compat.http_request(Request(request)) is request


@pytest.mark.parametrize("alias", ONLY_SQLITE)
def test_what_a_view_wrote_is_rolled_back_where_it_is_a_transaction(alias, monkeypatch):
    for atomic in (True, False):
        monkeypatch.setitem(connections[alias].settings_dict, "ATOMIC_REQUESTS", atomic)
        with transaction.atomic(using=alias):
            Container.objects.using(alias).create(id="c", config={})
            compat.roll_back()
        assert Container.objects.using(alias).exists() != atomic
