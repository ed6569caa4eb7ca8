"""Who may see and write what.

`AccessRule` is asked for every request, and what it doesn't give, nobody gets: views, exports and streams read what it
has found and nothing else. A project's own rule is a subclass, named by ``CHRONOS_STORAGE["API"]["ACCESS"]``.
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from typing import Any, ClassVar, Literal

from django.db.models import Exists, Model, Q
from django.db.models.query import QuerySet
from django.utils.functional import cached_property
from django.utils.module_loading import import_string

from .. import conf, records
from ..exceptions import ConfigurationError
from ..ledger.kept import Rows
from ..ledger.mapping import SESSIONS, Table
from ..models import Artifact, AuditLog, Checkpoint, Event, MemoryRecord, Message, Session, Trace
from ..records import Record
from .found import Condition, Found
from .found_records import FoundRecords
from .found_rows import FoundRows
from .store import api_storage

#: To hold is of sessions alone: to put them under a legal hold, or to lift it.
Verb = Literal["view", "add", "change", "delete", "hold"]

#: The start of the topics that belong to a session; the rest is its id.
SESSION_TOPIC = "session:"
#: What belongs to a session as long as this is there, and so to the session's user.
_OF_SESSIONS: tuple[type[Model], ...] = (Message, Event, Checkpoint)


class AccessRule:
    """What one user may see and write, closed by default.

    Staff go by Django's model permissions and see every row of a model they may view, soft-deleted sessions too.
    Others have their own sessions (`Session.user_id` is the text of their primary key) and what belongs to those, as
    long as they are not soft-deleted; memory and audit logs of their own, which where they name a session must name
    one of those; and artifacts of their own that name no session. Who isn't signed in, or has no primary key, has
    nothing.

    Attributes:
        verbs: what users other than staff may do with rows of their own, by model.
    """

    verbs: ClassVar[dict[type[Model], set[Verb]]] = {
        Session: {"view", "add", "change", "delete"},
        Message: {"view", "add", "delete"},
        MemoryRecord: {"view", "add", "change", "delete"},
        Event: {"view", "add"},
        Checkpoint: {"view", "add", "delete"},
        Trace: {"view", "add", "change"},
        AuditLog: {"view"},
        Artifact: {"view", "add", "delete"},
    }

    def __init__(self, user: Any) -> None:
        self.user = user

    @cached_property
    def signed_in(self) -> bool:
        """Whether there is a user at all, an active one, and one who has a `user_id` or is staff."""
        user = self.user
        if not (user and user.is_authenticated and user.is_active):
            return False
        return getattr(user, "is_staff", False) or self.user_id not in (None, "")

    @cached_property
    def staff(self) -> bool:
        """Whether the user goes by model permissions, and may say which ids and users new rows have."""
        return self.signed_in and bool(getattr(self.user, "is_staff", False))

    @cached_property
    def user_id(self) -> str:
        """The user_id of what belongs to the user; "" for one without a primary key, as services may be: nothing does.

        What belongs to no user has that user_id too.
        """
        return "" if self.user.pk is None else str(self.user.pk)

    @property
    def owner(self) -> str:
        """The user_id as the text that records have; a project's own may be a number."""
        return str(self.user_id)

    def may(self, verb: Verb, model: type[Model]) -> bool:
        """Whether the user may do this to those rows of the model that `rows` gives; if not, the answer is 403."""
        if self.staff:
            return bool(self.user.has_perm(f"{model._meta.app_label}.{verb}_{model._meta.model_name}"))
        return self.signed_in and verb in self.verbs.get(model, ())

    def rows(self, model: type[Model]) -> QuerySet[Any]:
        """The rows of a model that are there for the user; any other answers 404, as if there were none.

        It doesn't say what may be done with them: that is `may`. It is asked where the storage is a Django database;
        any other is asked for what fulfils the `conditions`.
        """
        rows = model._default_manager.using(api_storage().alias)
        if self.staff:
            return rows
        if not self.signed_in:
            return rows.none()
        return self.owned(model, rows)

    def conditions(self, record: type[Record]) -> Sequence[Condition] | None:
        """What the records of a type must fulfil to be there for the user, in a storage that is no Django database.

        Returns:
            Conditions on them, and as ``session.`` on the session that they belong to, or name, which must be there and
            not soft-deleted then; memory, audit logs and artifacts may name none. None for who sees all that there is.
        """
        if self.staff:
            return None
        user_id = self.owner
        mine, of_mine = Condition("user_id", "=", user_id), Condition("session.user_id", "=", user_id)
        if self.signed_in:
            if record is records.Session:
                return (mine,)
            if record in (records.Message, records.Event, records.Checkpoint, records.Trace):
                return (of_mine,)
            if record in (records.MemoryRecord, records.AuditLog):
                return (mine, of_mine)
            if record is records.Artifact:
                return (Condition("user_id", "where no session is named", user_id), of_mine)
        return (Condition("id", "in", []),)

    def found(self, table: Table[Any], session_id: str | None = None) -> Found:
        """What a table keeps that is there for the user, or of that what belongs to a session.

        Raises:
            ConfigurationError: the rule is made for a Django database alone, and the storage is none.
        """
        backend = api_storage().backend
        if backend.using is not None:
            return FoundRows(table, self.kept_rows(table.model, session_id))
        self.check_serves_any()
        return FoundRecords.of(backend, table.record, self.conditions(table.record), session_id)

    @classmethod
    def check_serves_any(cls) -> None:
        """See that the rule can be asked about a storage that is no Django database.

        Raises:
            ConfigurationError: it narrows querysets, and says nothing of other storages.
        """
        if cls.conditions is AccessRule.conditions:
            for name in ("rows", "owned"):
                if getattr(cls, name) is not getattr(AccessRule, name):
                    raise ConfigurationError(
                        f"the access rule {cls.__name__} has a method {name}() for a Django database, and the storage "
                        "is none: give it a method conditions() too"
                    )

    @property
    def is_ours(self) -> bool:
        """Whether `rows` is as it is here, and not a project's own, which may look at anything."""
        return all(getattr(type(self), name) is getattr(AccessRule, name) for name in ("rows", "owned", "user_id"))

    def kept_rows(self, model: type[Model], session_id: str | None = None) -> Rows:
        """The same as `rows`, or those of them that are of a session, by statements that are kept where nothing differs
        but the ids of the user and of the session.
        """
        using = api_storage().alias
        if not self.is_ours:
            rows = self.rows(model)
            return Rows.of(rows if session_id is None else rows.filter(session_id=session_id))

        def make(user_id: Any, session_id: Any = None) -> QuerySet[Any]:
            rule = copy(self)
            rule.user_id = user_id
            if session_id is None:
                return rule.rows(model)
            if self.staff or model not in (*_OF_SESSIONS, Trace):
                return rule.rows(model).filter(session_id=session_id)
            # Whose the session is, is looked at once, and not with each row.
            session = Exists(rule.rows(Session).filter(pk=session_id))
            return model._default_manager.using(using).filter(session, session_id=session_id)

        user_id = self.owner
        values = (user_id,) if session_id is None else (user_id, session_id)
        return Rows(using, make, values, (type(self), model, self.signed_in, self.staff, len(values)))

    def owned(self, model: type[Model], rows: QuerySet[Any]) -> QuerySet[Any]:
        """Those of the rows that belong to a user who isn't staff."""
        if model is Session:
            return rows.filter(user_id=self.user_id, deleted_at=None)
        if model in _OF_SESSIONS:
            return rows.filter(session__user_id=self.user_id, session__deleted_at=None)
        if model is Trace:
            return rows.filter(session_id__in=self._session_ids())
        if model in (MemoryRecord, AuditLog):
            in_session = Q(session_id="") | Q(session_id__in=self._session_ids())
            return rows.filter(in_session, user_id=self.user_id)
        if model is Artifact:
            return rows.filter(Q(session_id__in=self._session_ids()) | Q(session_id="", user_id=self.user_id))
        return rows.none()

    def gives_with_session(self, model: type[Model]) -> bool:
        """Whether the rows of a model that `rows` gives belong to sessions that it gives too.

        Then it isn't asked for the session once more, where something of it was found.
        """
        return self.is_ours and model in _OF_SESSIONS

    def _session_ids(self) -> QuerySet[Any]:
        return self.rows(Session).values("id")

    def has_session(self, id: str) -> bool:
        """Whether the session is there for the user; with ``may("view", Event)`` its events may be followed."""
        return not self.missing([id])

    def missing(self, session_ids: Sequence[str]) -> list[str]:
        """Those of these sessions that are not there for the user, in one query; `has_session` asks this."""
        there = self.found(SESSIONS).where(Condition("id", "in", session_ids), kept=True).ids()
        return [id for id in session_ids if id not in there]

    def may_use_topic(self, verb: Verb, topic: str, model: type[Model]) -> bool | None:
        """Whether the user may read (view), publish to (add) or acknowledge (change) a topic of the queue.

        A session's topic is the ledger's: nobody else publishes to it, and reading it is viewing events, too.

        Args:
            model: what keeps the queue's entries, by whose permissions staff go.

        Returns:
            None where the topic isn't there for the user: the answer is 404. If it is False, 403.
        """
        of_session = topic.startswith(SESSION_TOPIC)
        if of_session and verb == "view" and not self.may("view", Event):
            return False
        if self.staff:
            return self.may(verb, model) and not (of_session and verb == "add")
        if not self.signed_in or not of_session:
            return False
        return verb != "add" if self.has_session(topic.removeprefix(SESSION_TOPIC)) else None

    def consumer(self, name: str) -> str:
        """The consumer of a topic that a name stands for; users other than staff have their own."""
        return name if self.staff else f"user:{self.user_id}:{name}"


def access_for(user: Any) -> AccessRule:
    """The project's rule, for one user.

    Raises:
        ConfigurationError: the setting doesn't name an `AccessRule`.
    """
    path = conf.section("API").get("ACCESS")
    return (AccessRule if path is None else load_rule(path))(user)


def load_rule(path: Any) -> type[AccessRule]:
    """The rule that the setting names."""
    try:
        rule = import_string(str(path))
    except ImportError as error:
        raise ConfigurationError(f'CHRONOS_STORAGE["API"]["ACCESS"] {path!r} can\'t be imported: {error}') from error
    if not (isinstance(rule, type) and issubclass(rule, AccessRule)):
        raise ConfigurationError(f'CHRONOS_STORAGE["API"]["ACCESS"] {path!r} is no subclass of AccessRule')
    return rule
