from __future__ import annotations

from datetime import datetime

from django.db import IntegrityError
from django.db.models.query import QuerySet

from ...chains.erasing import removal_entry
from ...chains.numbering import audit_chain
from ...ledger.heads import heads_of, lock_sessions, locked, open_to, refuse_held, refuse_stale, require_fence
from ...ledger.mapping import SESSIONS, TABLES
from ...ledger.permit import note_purge, permit
from ...ledger.series import AUDIT_CHAIN, append
from ...models import Fence, Head
from ...records import REMOVED_WITH_SESSION, Checkpoint, Session
from ...records import AuditLog as AuditRecord
from ...refusals import Reason, Refused
from ...snapshots import Unseen, check_references, current, unless_unseen
from . import hooks
from .checkpoints import CheckpointMethods


class SessionMethods(CheckpointMethods):
    def insert(self, session: Session, checkpoint: Checkpoint | None = None) -> None:
        if checkpoint is None:
            self._insert(session)
            return
        with self._atomic():
            self._insert(session)
            self.save_checkpoint(checkpoint, fresh=True, fence=0)  # which it has, whether it requires one or not

    def _insert(self, session: Session) -> None:
        try:
            with self._savepoint():
                SESSIONS.row(session).save(using=self.using, force_insert=True)
        except IntegrityError as error:
            known = self._one(SESSIONS, self._rows(SESSIONS).filter(pk=session.id))
            raise Refused(Reason.TAKEN, Session, session.id, known) from error

    def close_session(self, id: str, at: datetime, fence: int | None = None) -> bool:
        with self._atomic():
            rows = self._rows(SESSIONS).filter(pk=id, deleted_at=None)
            hidden = open_to(rows, fence).update(deleted_at=at)
            if hidden:
                self._heads(id).update(closed=True)
            else:
                refuse_stale(rows, fence)
                self._refuse_unseen(SESSIONS, id)
        return bool(hidden)

    def open_session(self, id: str, at: datetime, fence: int | None = None) -> Session:
        with self._atomic():
            rows = self._rows(SESSIONS).filter(pk=id)
            deleted = rows.exclude(deleted_at=None)
            if not open_to(deleted, fence).update(deleted_at=None, updated_at=at):
                refuse_stale(deleted, fence)
                self._refuse_unseen(SESSIONS, id)
                raise Refused(Reason.MISSING, Session, id)
            self._heads(id).update(closed=False)
            restored = self._one(SESSIONS, rows)
        assert restored is not None
        return restored

    def hold(self, id: str, held: bool, at: datetime, log: AuditRecord) -> tuple[Session, AuditRecord]:
        rows = self._rows(SESSIONS).filter(pk=id)
        with self._atomic():
            self._lock_session(id)  # which whoever removes something of it has locked too
            rows.update(legal_hold=held, updated_at=at)
            (entry,), _ = append(self.using, AUDIT_CHAIN, [log])
            [session] = SESSIONS.fetch(current(rows))
        return session, entry

    def _heads(self, id: str) -> QuerySet[Head]:
        """The heads of what belongs to a session, locked after it."""
        heads = Head.objects.using(self.using).filter(owner=id, series=id).exclude(kind=Head.Kind.AUDIT_LOG)
        locked(heads.order_by("kind", "namespace"))
        return heads

    def remove_session(self, id: str, fence: int | None = None, *, erasing: bool = False) -> AuditRecord | None:
        with permit(self.using) as opened:
            sessions = lock_sessions(self.using, [id])
            if not sessions:
                self._refuse_unseen(SESSIONS, id)
                return None
            if not erasing:
                require_fence(sessions[id], fence)
            refuse_held(sessions[id])
            self._heads(id)
            chain = audit_chain(id, None)
            audit_heads = heads_of(self.using, Head.Kind.AUDIT_LOG, [chain])
            # An entry that was under way before there was the session may still come, with a head that must stay.
            going = [head.pk for head in locked(audit_heads)]
            opened.purge_events(id)
            opened.purge_audit_logs(id)
            if going and current(AUDIT_CHAIN.rows(self.using, chain).only("pk")[:1]):
                raise Unseen  # they would stay, without their head
            removed = {
                record.__name__.lower(): self._rows(TABLES[record]).filter(session_id=id).delete()[0]
                for record in REMOVED_WITH_SESSION
            }
            hooks.removed(self.using, id)
            audit_heads.filter(pk__in=going).delete()
            with unless_unseen():  # what was written behind this transaction's snapshot
                self._rows(SESSIONS).filter(pk=id).delete()  # and its other heads, by `remove_heads`
                check_references(self.using, SESSIONS.model)
            if erasing:
                Fence.objects.using(self.using).filter(pk=id).delete()
            return note_purge(self.using, **removal_entry(id, opened.purged, removed, erasing=erasing))
