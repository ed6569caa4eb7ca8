"""The setting is found wherever Django finds settings."""

from __future__ import annotations

from types import SimpleNamespace

import django.conf
import pytest

from chronos_storage import conf

SETTING = {"QUEUE": {"PUBLISH_EVENTS": True}}


def test_a_setting_of_the_host_s_own_defaults_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    given = django.conf.LazySettings()
    given.configure(default_settings=SimpleNamespace(CHRONOS_STORAGE=SETTING))
    monkeypatch.setattr(conf, "settings", given)
    assert conf.configured() == SETTING


def test_a_setting_that_is_assigned_later_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    assert conf.configured() == {}
    monkeypatch.setattr(django.conf.settings, conf.NAME, SETTING, raising=False)
    assert conf.configured() == SETTING
