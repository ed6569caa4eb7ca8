"""The adapters are held to what the frameworks' own tests say, on SQLite, the embedded default, and on PostgreSQL."""

import pytest

from tests.conftest import SQLITE_AND_POSTGRES, alias_of

alias = alias_of(SQLITE_AND_POSTGRES)


@pytest.fixture
def anyio_backend() -> str:
    """What runs the coroutines of tests that are marked with `anyio`."""
    return "asyncio"
