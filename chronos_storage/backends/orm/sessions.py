from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime
from functools import partial
from typing import Any

from django.db.models import F, Value
from django.db.models.functions import Greatest
from django.db.models.query import QuerySet

from ... import codec, records, signals
from ...chains.numbering import audit_chain
from ...exceptions import AlreadyExists, InvalidRecord, NotFound
from ...ledger.heads import lock_sessions, locked
from ...ledger.mapping import SESSIONS
from ...ledger.permit import note_purge, permit
from ...models import AuditLog, Checkpoint, Head, MemoryRecord, Message, Trace
from ...records import Session
from ...snapshots import Unseen, check_references, current, unless_unseen
from ...transactions import attempt, retried
from ..arguments import choice, filters, identified
from ..base import SessionOrder
from ..changes import FIXED, new_session, not_deleted, patch_of, taken
from . import hooks
from .base import OrmBase, pk_row, sliced
from .pages import iterate

_ORDERS = {name: (name, "-id") for name in ("-created_at", "-last_activity_at")}


class SessionMethods(OrmBase):
    def create_session(self, session: Session) -> Session:
        session = new_session(session)
        return self.once(session, partial(self._create, session))

    def once(self, session: Session, write: Callable[[], Session]) -> Session:
        """Have a new session, complete, written; where a connection was lost it may be there already."""

        def write_again() -> Session:
            try:
                return write()
            except AlreadyExists:
                if self.get_session(session.id, include_deleted=True) != session:
                    raise
            self.written(session)
            return session

        return attempt(self.alias, write, again=write_again)

    def _create(self, session: Session) -> Session:
        try:
            with self.unless_taken(f"session {session.id!r}"):
                SESSIONS.row(session).save(using=self.alias, force_insert=True)
        except AlreadyExists as error:
            known = self.get_session(session.id, include_deleted=True)
            raise error if known is None else taken(known) from error
        self.written(session)
        return session

    def save_session(self, session: Session) -> Session:
        session = identified(Session.of(session, "session").cleaned())
        return attempt(self.alias, partial(self._save_session, session))

    def _save_session(self, session: Session) -> Session:
        try:
            return self._update(session)
        except NotFound:
            try:
                return self._create(new_session(session))
            except AlreadyExists:  # made by another writer in between, or soft-deleted, which the update says
                return self._update(session)

    @retried
    def get_session(self, id: str, *, include_deleted: bool = False) -> Session | None:
        rows = pk_row(self.rows(SESSIONS), id)
        return self.one(SESSIONS, rows if include_deleted else rows.filter(deleted_at=None))

    @retried
    def update_session(self, session: Session) -> Session:
        return self._update(session)

    def _update(self, session: Session) -> Session:
        session = Session.of(session, "session").cleaned()
        changes = {name: value for name, value in SESSIONS.values(session).items() if name not in FIXED}
        return self._write(session.id, changes)

    @retried
    def patch_session(self, id: str, /, **changes: Any) -> Session:
        return self._write(id, patch_of(changes), user_id_once="user_id" in changes)

    def _write(self, id: str, changes: dict[str, Any], user_id_once: bool = False) -> Session:
        """Set these columns of a session that is there; its last activity only ever goes forward."""
        changes = {**changes, "updated_at": records.now()}
        latest = changes.pop("last_activity_at", None)
        if latest is not None:
            changes["last_activity_at"] = Greatest(F("last_activity_at"), Value(latest))
        rows = pk_row(self.rows(SESSIONS), id).filter(deleted_at=None)
        writable = rows.filter(user_id__in=("", changes["user_id"])) if user_id_once else rows
        with self.transaction():
            changed = writable.update(**changes)
            stored = self.one(SESSIONS, rows)
            if stored is None:
                self.refuse_unseen(SESSIONS, id)
        if stored is not None and user_id_once and stored.user_id not in ("", changes["user_id"]):
            raise InvalidRecord("user_id", "is set already; a session keeps its user")
        if stored is None or not changed:
            raise NotFound(f"there is no session {id!r}")
        self.written(stored)
        return stored

    @retried
    def patch_session_metadata(self, id: str, changes: dict[str, Any]) -> Session:
        return self.merged(SESSIONS, id, changes)

    @retried
    def list_sessions(
        self,
        agent_id: str | None = None,
        *,
        user_id: str | None = None,
        status: str | None = None,
        container_id: str | None = None,
        image_id: str | None = None,
        order: SessionOrder = "-created_at",
        limit: int | None = 100,
        offset: int = 0,
        include_deleted: bool = False,
    ) -> list[Session]:
        given = filters(agent_id=agent_id, user_id=user_id, status=status, container_id=container_id, image_id=image_id)
        rows = self._listed_sessions(given, include_deleted).order_by(*choice(order, "order", _ORDERS))
        return SESSIONS.fetch(sliced(rows, limit, offset))

    def iter_sessions(
        self,
        agent_id: str | None = None,
        *,
        user_id: str | None = None,
        status: str | None = None,
        container_id: str | None = None,
        image_id: str | None = None,
        order: SessionOrder = "-created_at",
        include_deleted: bool = False,
    ) -> Iterator[Session]:
        given = filters(agent_id=agent_id, user_id=user_id, status=status, container_id=container_id, image_id=image_id)
        return iterate(SESSIONS, self._listed_sessions(given, include_deleted), *choice(order, "order", _ORDERS))

    def _listed_sessions(self, given: dict[str, str], include_deleted: bool) -> QuerySet[Any]:
        rows = self.rows(SESSIONS).filter(**given)
        return rows if include_deleted else rows.filter(deleted_at=None)

    @retried
    def delete_session(self, id: str, *, hard: bool = False) -> bool:
        id = codec.string(id, "id")
        deleted = self._remove(id) if hard else self._hide(id)
        if deleted:
            signals.announce(signals.session_deleted, Session, self.alias, session_id=id, hard=hard)
        return deleted

    def _heads(self, id: str) -> QuerySet[Head]:
        """The heads of what belongs to a session, locked behind it."""
        heads = Head.objects.using(self.alias).filter(owner=id).exclude(kind=Head.Kind.AUDIT_LOG)
        locked(heads.order_by("kind", "namespace"))
        return heads

    def _hide(self, id: str) -> bool:
        with self.transaction():
            hidden = pk_row(self.rows(SESSIONS), id).filter(deleted_at=None).update(deleted_at=records.now())
            if hidden:
                self._heads(id).update(closed=True)
            else:
                self.refuse_unseen(SESSIONS, id)
        return bool(hidden)

    def restore_session(self, id: str) -> Session:
        id, moment = codec.string(id, "id"), records.now()

        def restore_again() -> Session:
            known = self.get_session(id)
            if known and known.updated_at and known.updated_at >= moment:  # this call has restored it
                return known
            return self._restore(id, moment)

        return attempt(self.alias, partial(self._restore, id, moment), again=restore_again)

    def _restore(self, id: str, moment: datetime) -> Session:
        with self.transaction():
            rows = pk_row(self.rows(SESSIONS), id)
            if not rows.exclude(deleted_at=None).update(deleted_at=None, updated_at=moment):
                self.refuse_unseen(SESSIONS, id)
                raise not_deleted(id)
            self._heads(id).update(closed=False)
            restored = self.one(SESSIONS, rows)
        assert restored is not None
        self.written(restored)
        return restored

    def _remove(self, id: str) -> bool:
        with permit(self.alias) as opened:
            if not lock_sessions(self.alias, [id]):
                self.refuse_unseen(SESSIONS, id)
                return False
            self._heads(id)
            chain = audit_chain(id, None)
            audit_heads = Head.objects.using(self.alias).filter(owner=chain, kind=Head.Kind.AUDIT_LOG)
            # An entry that was under way before there was the session may still come, with a head that must stay.
            going = [head.pk for head in locked(audit_heads)]
            opened.purge_events(id)
            opened.purge_audit_logs(id)
            if going and current(AuditLog.objects.using(self.alias).filter(chain=chain).only("pk")[:1]):
                raise Unseen  # they would stay, without their head
            removed = {
                model._meta.model_name: model._default_manager.using(self.alias).filter(session_id=id).delete()[0]
                for model in (Message, Checkpoint, Trace, MemoryRecord)
            }
            hooks.removed(self.alias, id)
            audit_heads.filter(pk__in=going).delete()
            with unless_unseen():  # what was written behind this transaction's snapshot
                pk_row(self.rows(SESSIONS), id).delete()  # and its other heads, by `remove_heads`
                check_references(self.alias, SESSIONS.model)
            note_purge(
                self.alias,
                action="session.delete",
                resource=id,
                detail={"reason": "the session was deleted", "chains": opened.purged, "removed": removed},
            )
        return True
