"""What ``path("api/", include("chronos_storage.api.urls"))`` mounts."""

from __future__ import annotations

from typing import Any

from django.apps import apps
from django.contrib.auth import get_user_model
from django.core.checks import CheckMessage, Error
from django.db import connections
from django.urls import path
from rest_framework.routers import SimpleRouter

from ..exceptions import ConfigurationError
from .access import access_for
from .artifacts import ArtifactViewSet
from .audit_logs import AuditLogViewSet
from .checkpoints import CheckpointViewSet
from .compat import checked_path
from .erasures import ErasureView
from .event_streams import EventStreamView, SessionsStreamView
from .events import EventViewSet
from .images import ContainerViewSet, ImageViewSet
from .memory import MemoryViewSet
from .messages import MessageViewSet
from .root import Root, SchemaView, Unknown
from .sessions import SessionViewSet
from .store import api_storage
from .streams import TopicStreamView
from .topics import ConsumerViewSet, EntryViewSet
from .traces import SessionTraceViewSet, TraceViewSet
from .usage import UsageView

app_name = "chronos_storage_api"


class _Router(SimpleRouter):
    def __init__(self) -> None:
        super().__init__(trailing_slash=False, use_regex_path=False)

    def get_lookup_regex(self, viewset: Any, lookup_prefix: str = "") -> str:
        return "<str:id>"


router = _Router()
# What is asked for most comes first, as each that comes before it is tried.
for _prefix, _viewset, _name in (
    ("events", EventViewSet, "event"),
    ("messages", MessageViewSet, "message"),
    ("checkpoints", CheckpointViewSet, "checkpoint"),
    ("traces", SessionTraceViewSet, "session-trace"),
):
    router.register(f"sessions/<str:session_id>/{_prefix}", _viewset, _name)
router.register("sessions", SessionViewSet, "session")
router.register("traces", TraceViewSet, "trace")
router.register("memory", MemoryViewSet, "memory")
router.register("audit-logs", AuditLogViewSet, "audit-log")
router.register("artifacts", ArtifactViewSet, "artifact")
router.register("containers", ContainerViewSet, "container")
router.register("images", ImageViewSet, "image")
router.register("topics/<str:topic>/entries", EntryViewSet, "entry")
router.register("topics/<str:topic>/consumers", ConsumerViewSet, "consumer")
if apps.is_installed("chronos_storage.vectors"):
    from .vectors import CollectionViewSet, EmbeddingViewSet

    router.register("collections", CollectionViewSet, "collection")
    router.register("collections/<str:collection>/embeddings", EmbeddingViewSet, "embedding")


def _check() -> list[CheckMessage]:
    """Whether what is mounted here can be served."""
    messages: list[CheckMessage] = [
        Error(
            f'The REST API is mounted, and "{name}" is not in INSTALLED_APPS.',
            hint="Add it there: its pages and messages are needed.",
            id="chronos_storage.E008",
        )
        for name in ("rest_framework", "django_filters")
        if not apps.is_installed(name)
    ]
    if apps.is_installed("django.contrib.auth"):
        users = get_user_model()._default_manager.db
        if connections[users].vendor == "unknown":  # as where DATABASES is empty
            messages.append(
                Error(
                    f"The REST API signs in users, who with their permissions and API keys are in the Django database "
                    f"{users!r}, wherever the storage is, and DATABASES has none of that name.",
                    hint="Give it one, such as a SQLite file, and migrate.",
                    id="chronos_storage.E010",
                )
            )
    try:
        storage, access = api_storage(), access_for(None)
        if storage.backend.using is None:
            access.check_serves_any()
    except ConfigurationError as error:
        messages.insert(0, Error(f"{error}.", id="chronos_storage.E007"))
    return messages


#: The lists that the front page names.
_LISTS = {
    prefix: f"{name}-list"
    for prefix, viewset, name in router.registry
    if "<" not in prefix and hasattr(viewset, "list") and viewset is not TraceViewSet  # which lists a run's
}

urlpatterns = [
    checked_path(_check, Root.as_view(lists=_LISTS), name="root"),
    path("schema", SchemaView.as_view(), name="schema"),
    path("usage", UsageView.as_view(), name="usage"),
    path("users/<str:id>/erasure", ErasureView.as_view(), name="erasure"),
    path("sessions/stream", SessionsStreamView.as_view(), name="sessions-stream"),
    path("sessions/<str:session_id>/events/stream", EventStreamView.as_view(), name="event-stream"),
    path("topics/<str:topic>/stream", TopicStreamView.as_view(), name="topic-stream"),
    *router.urls,
    path("<path:rest>", Unknown.as_view()),
]
