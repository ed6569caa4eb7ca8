"""The view for load balancers, and the check for django-health-check."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from django.urls import path
from health_check.exceptions import ServiceUnavailable
from health_check.views import HealthCheckView

from chronos_storage.exceptions import ConfigurationError
from chronos_storage.health import health
from chronos_storage.integrations.health_check import StorageHealthCheck

MEMORY = {"BACKEND": "chronos_storage.backends.document.MemoryBackend"}
CONNECT = "chronos_storage.dsn.connect"
urlpatterns = [
    path("health", health),
    path("all", HealthCheckView.as_view(checks=[StorageHealthCheck, (StorageHealthCheck, {"alias": "other"})])),
]


@pytest.fixture(autouse=True)
def site(settings: Any, tmp_path: Path) -> Any:
    """A site with two storages, one of which can be broken."""
    (tmp_path / "broken").write_text("no database")
    settings.ROOT_URLCONF = __name__
    settings.CHRONOS_STORAGE = {"STORAGES": {"default": MEMORY, "other": MEMORY}}
    return settings


def break_other(site: Any, tmp_path: Path) -> None:
    other = {"BACKEND": CONNECT, "OPTIONS": {"DSN": str(tmp_path / "broken")}}
    site.CHRONOS_STORAGE = {"STORAGES": {"default": MEMORY, "other": other}}


def test_a_load_balancer_hears_which_store_fails_and_the_log_why(site: Any, tmp_path: Path, caplog: Any) -> None:
    client = Client()
    response = client.get("/health")
    assert response.status_code == 200
    assert response.json() == {"status": "ok", "stores": {"default": "ok", "other": "ok"}}
    assert "no-cache" in response["Cache-Control"]
    assert client.post("/health").status_code == 405

    break_other(site, tmp_path)
    response = client.get("/health")
    assert response.status_code == 503
    assert response.json() == {"status": "unavailable", "stores": {"default": "ok", "other": "unavailable"}}
    [record] = [each for each in caplog.records if each.name == "chronos_storage.health"]
    assert record.levelno == logging.ERROR
    assert record.getMessage().startswith("The storage 'other' can't be used: ")

    site.CHRONOS_STORAGE = {"STORAGES": {"default": {"BACKEND": "nowhere.Backend"}}}
    assert client.get("/health").json()["stores"] == {"default": "unavailable"}


def test_django_health_check_shows_each_storage(site: Any, tmp_path: Path) -> None:
    client = Client()
    response = client.get("/all", {"format": "json"})
    assert response.status_code == 200
    assert len(response.json()) == 2
    break_other(site, tmp_path)
    response = client.get("/all", {"format": "json"})
    assert response.status_code == 500
    assert "the storage 'other' can't be used" in response.content.decode()
    assert "broken" not in response.content.decode()
    with pytest.raises(ServiceUnavailable):
        asyncio.run(StorageHealthCheck(alias="other").run())
    with pytest.raises(ConfigurationError):
        asyncio.run(StorageHealthCheck(alias="unknown").run())
