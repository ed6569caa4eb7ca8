"""A vector store on each database that can have one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest
from django.conf import settings

from tests.routers import given

if TYPE_CHECKING:
    from chronos_storage.vectors.orm import OrmVectorStore

_ALIASES = [alias for alias in settings.DATABASES if alias != "postgres15"]


@pytest.fixture(
    params=[
        pytest.param(
            alias, id="sqlite" if alias == "default" else alias, marks=pytest.mark.django_db(databases=[alias])
        )
        for alias in _ALIASES
    ]
)
def vector_alias(request: pytest.FixtureRequest) -> str:
    """The alias of a database, one after the other; the test may use no other, and what it writes is rolled back."""
    name: str = request.param
    return name


@pytest.fixture
def vector_store(vector_alias: str) -> OrmVectorStore:
    """The vector store over a database, in a transaction that is rolled back."""
    from chronos_storage.vectors.stores import database_store

    return database_store(using=given(vector_alias))


@pytest.fixture
def vector_store_committed(vector_store: OrmVectorStore, transactional_db: None) -> Iterator[OrmVectorStore]:
    """The vector store over a database, really committing; the tables are flushed afterwards."""
    yield vector_store
    vector_store.close()
