"""A chain's verdict, and its first bad row."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from .. import codec
from ..chains.numbering import audit_chain, owner_of
from ..ledger.series import AUDIT_CHAIN, EVENT_CHAIN
from ..ledger.verify import verify_several
from ..models import AuditLog, Event
from ..records import Verdict
from ..text import visible
from .addresses import address, timeline_address

#: How many rows the chains have at most that lists check.
MOST = 500


class ChainForm(forms.Form):
    """Whose audit entries are to be checked: a session's, or those of an agent without a session."""

    session_id = forms.CharField(label=_("session"), required=False, strip=False, max_length=codec.MAX_INDEXED)
    agent_id = forms.CharField(label=_("or agent"), required=False, strip=False, max_length=codec.MAX_INDEXED)


@dataclass(frozen=True)
class Finding:
    """A verdict as it is shown.

    Attributes:
        row: the first bad row, if there is still a row of that number; None otherwise, as after a removal.
    """

    verdict: Verdict
    row: Any
    row_address: str
    timeline_address: str

    @property
    def chain(self) -> str:
        """The chain's name."""
        return visible(self.verdict.chain)


def finding(using: str, verdict: Verdict) -> Finding:
    """The verdict with the row that it names."""
    if verdict.intact:
        return Finding(verdict, None, "", "")
    is_event = verdict.kind == "event"
    rows: Any = Event.objects.using(using).filter(session_id=verdict.chain).defer("payload")
    if not is_event:
        rows = AuditLog.objects.using(using).filter(chain=verdict.chain, owner=owner_of(verdict.chain)).defer("detail")
    row = rows.filter(seq_num=verdict.bad_seq).first()
    if row is None:
        return Finding(verdict, None, "", "")
    place = timeline_address(row.session_id, "event" if is_event else "audit", row.pk) if row.session_id else ""
    return Finding(verdict, row, address(row, "change"), place)


def verdicts_of(using: str, ids: Collection[str]) -> dict[str, bool]:
    """Whether the two chains of each of these sessions are intact; nothing of those that are long."""
    events = verify_several(using, EVENT_CHAIN, ids, MOST)
    chains = {audit_chain(id, None): id for id in ids}
    audit_logs = verify_several(using, AUDIT_CHAIN, chains, MOST)
    found = {id: verdict.intact for id, verdict in events.items()}
    for chain, verdict in audit_logs.items():
        found[chains[chain]] = found.get(chains[chain], True) and verdict.intact
    return found


def broken_among(using: str, ids: Collection[str]) -> list[str]:
    """Those of these sessions that have a broken chain, unless it is long."""
    return [id for id, intact in verdicts_of(using, ids).items() if not intact]
