"""Starts the database servers before pytest-django reads the settings, which name them."""

from __future__ import annotations

from collections.abc import Generator

import pytest

from tests import servers


@pytest.hookimpl(wrapper=True)
def pytest_load_initial_conftests() -> Generator[None, object, object]:
    servers.start_all()
    return (yield)
