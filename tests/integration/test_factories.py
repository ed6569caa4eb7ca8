"""The factories that are shipped for a host's own tests."""

from __future__ import annotations

import pytest

from chronos_storage import records
from chronos_storage.facade import Storage
from chronos_storage.testing import factories

FACTORIES = [getattr(factories, f"{record.__name__}Factory") for record in records.KINDS.values()]


@pytest.mark.parametrize("factory", FACTORIES)
def test_create_stores_what_build_makes(storage: Storage, factory) -> None:
    kind = next(name for name, record in records.KINDS.items() if record is factory._meta.model)
    built = factory.build()
    assert not list(storage.scan(kind))
    created = factory.create(storage=storage)
    assert type(built) is type(created)
    assert list(storage.scan(kind)) == [created]
    assert created.id != built.id


def test_one_session_can_be_shared(storage: Storage) -> None:
    session = factories.SessionFactory.create(storage=storage)
    messages = factories.MessageFactory.create_batch(3, storage=storage, session_id=session.id)
    assert storage.list_messages(session.id) == messages
