"""The fixture `chronos_storage` for a host's own tests, which pytest finds by itself; it needs pytest-django.

Neither Django nor a store is imported before a test asks for it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from ..facade import Storage

_MEMORY = {"BACKEND": "chronos_storage.backends.document.MemoryBackend"}
_MEMORY_QUEUE = {"BACKEND": "chronos_storage.queues.memory.MemoryQueue"}
#: In Django's STORAGES, what has the bytes of artifacts meanwhile.
_FILES = "chronos_storage_test"
#: Those fixtures of pytest-django that let a test use the databases.
_DATABASE = {"db", "transactional_db", "django_db_reset_sequences", "django_db_serialized_rollback"}


def pytest_addoption(pluginmanager: pytest.PytestPluginManager) -> None:
    """Have the package imported as if it had no plugin, but for its suites.

    pytest rewrites the assertions of all that comes with a plugin, as its documentation says, which takes a host's
    tests longer to import though they don't use it. What was marked for that is in no documented place.
    """
    marked = getattr(getattr(pluginmanager, "rewrite_hook", None), "_must_rewrite", None)
    if isinstance(marked, set):
        marked.discard("chronos_storage")


@pytest.fixture
def chronos_storage(request: pytest.FixtureRequest, settings: Any) -> Storage:
    """The storage with the alias "default", empty, for one test; the code that is tested finds the same.

    In a test that may use the database (by the mark ``django_db``, by ``db`` and its like, or as a ``TestCase`` of
    Django's) a storage that the settings have in a Django database stays there, in the test's transaction. Every other
    one of the settings is in memory until the test ends, and so is the queue where it is not in a Django database. The
    bytes of artifacts are in memory always.
    """
    from .. import conf
    from ..facade.stores import storages

    uses_database = _uses_database(request)
    stores = dict(conf.section("STORAGES"))
    for alias in storages:
        if not uses_database or storages[alias].backend.using is None:
            stores[alias] = _MEMORY
    queue = conf.section("QUEUE")
    if not uses_database or queue.get("BACKEND", conf.QUEUE_BACKEND) != conf.QUEUE_BACKEND:
        queue = _MEMORY_QUEUE
    # By pytest-django's fixture, which takes back what a test sets by it in the right order too.
    settings.STORAGES = {**settings.STORAGES, _FILES: {"BACKEND": "django.core.files.storage.InMemoryStorage"}}
    settings.CHRONOS_STORAGE = {
        **conf.configured(),
        "STORAGES": stores,
        "QUEUE": queue,
        "ARTIFACTS": {"STORAGE": _FILES},
    }
    return storages["default"]


def _uses_database(request: pytest.FixtureRequest) -> bool:
    from django.test import TransactionTestCase

    if request.cls is not None and issubclass(request.cls, TransactionTestCase):
        return True
    return request.node.get_closest_marker("django_db") is not None or not _DATABASE.isdisjoint(request.fixturenames)
