"""Factories of records, for a host's own tests: ``build()`` makes one, ``create()`` stores it too.

``create(storage=…)`` says where; without it, it is the storage with the alias "default". A message, event or
checkpoint that is created without a session_id gets a session of its own. They need factory-boy.
"""

from __future__ import annotations

from typing import Any, TypeVar

import factory

from .. import ids, records
from ..facade import Storage
from .writers import write

R = TypeVar("R", bound=records.Record)

_NEED_SESSION = (records.Message, records.Event, records.Checkpoint)


class _RecordFactory(factory.Factory[R]):
    class Meta:
        abstract = True

    id: Any = factory.LazyFunction(ids.new_id)

    @classmethod
    def _build(cls, model_class: type[Any], *args: Any, storage: Storage | None = None, **fields: Any) -> Any:
        return model_class(**fields)

    @classmethod
    def _create(cls, model_class: type[Any], *args: Any, storage: Storage | None = None, **fields: Any) -> Any:
        if storage is None:
            from .. import storage as default

            storage = default
        record = model_class(**fields)
        if isinstance(record, _NEED_SESSION) and not record.session_id:
            record.session_id = SessionFactory.create(storage=storage).id
        return write(storage, record)


class SessionFactory(_RecordFactory[records.Session]):
    class Meta:
        model = records.Session

    agent_id: Any = factory.Sequence(lambda n: f"agent-{n}")
    user_id: Any = factory.Sequence(lambda n: f"user-{n}")
    title: Any = factory.Faker("sentence")


class MessageFactory(_RecordFactory[records.Message]):
    class Meta:
        model = records.Message

    role = "user"
    content: Any = factory.Faker("paragraph")


class MemoryRecordFactory(_RecordFactory[records.MemoryRecord]):
    class Meta:
        model = records.MemoryRecord

    agent_id: Any = factory.Sequence(lambda n: f"agent-{n}")
    kind = "long_term"
    key: Any = factory.Sequence(lambda n: f"key-{n}")
    value: Any = factory.Faker("sentence")


class AuditLogFactory(_RecordFactory[records.AuditLog]):
    class Meta:
        model = records.AuditLog

    actor: Any = factory.Sequence(lambda n: f"user-{n}")
    action = "session.read"
    resource: Any = factory.Sequence(lambda n: f"session-{n}")


class TraceFactory(_RecordFactory[records.Trace]):
    class Meta:
        model = records.Trace

    session_id: Any = factory.LazyFunction(ids.new_id)
    name: Any = factory.Sequence(lambda n: f"step-{n}")
    kind = "node"


class EventFactory(_RecordFactory[records.Event]):
    class Meta:
        model = records.Event

    type = "node_executed"
    payload: Any = factory.Sequence(lambda n: {"node": f"step-{n}"})


class CheckpointFactory(_RecordFactory[records.Checkpoint]):
    class Meta:
        model = records.Checkpoint

    node_id: Any = factory.Sequence(lambda n: f"step-{n}")
    state: Any = factory.Sequence(lambda n: {"step": n})


class ArtifactFactory(_RecordFactory[records.Artifact]):
    class Meta:
        model = records.Artifact

    name: Any = factory.Sequence(lambda n: f"report-{n}.pdf")
    mime_type = "application/pdf"


class ContainerFactory(_RecordFactory[records.Container]):
    class Meta:
        model = records.Container


class ImageFactory(_RecordFactory[records.Image]):
    class Meta:
        model = records.Image

    name: Any = factory.Sequence(lambda n: f"image-{n}")
    system_prompt: Any = factory.Faker("sentence")
