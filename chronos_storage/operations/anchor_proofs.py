"""Proofs that one row is part of an anchored chain, which whoever has the public key can check."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from .. import records
from ..backends.document.serialization import decode, encode
from ..chains import hashing, merkle
from ..chains.numbering import AuditLogs, Chained, Events
from ..exceptions import InvalidRecord, NotFound
from ..facade import Storage
from .anchors import Anchor, require_signature, text

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

_SERIES: dict[str, Chained[Any]] = {"event": Events(), "audit_log": AuditLogs()}
_RECORDS: dict[str, type[Any]] = {"event": records.Event, "audit_log": records.AuditLog}
#: How many rows a proof reads at a time.
_PAGE = 500


def prove(storage: Storage, anchored: Anchor, kind: str, chain: str, seq_num: int) -> dict[str, Any]:
    """What shows to whoever has the public key alone that a row was part of a chain when it was anchored.

    Returns:
        The proof, for `check_proof`, as JSON's types: the row, the ids and digests of those after it up to the chain's
        anchored head, and that head's way to the signed root. It grows with the number of those rows.

    Raises:
        NotFound: the anchor has no such chain or number, or the store has the row no longer, or not the id of a row
            after it, as it was erased.
    """
    index = next((n for n, head in enumerate(anchored.heads) if (head["kind"], head["chain"]) == (kind, chain)), None)
    if index is None or not 1 <= seq_num <= anchored.heads[index]["seq_num"]:
        raise NotFound(f"the anchor has no number {seq_num} of the {kind} chain {chain!r}")
    head, series = anchored.heads[index], _SERIES[kind]
    rows = _rows(storage, kind, chain, seq_num, head["seq_num"])
    first = next(rows, None)
    if first is None or first.seq_num != seq_num:
        raise NotFound(f"number {seq_num} of the {kind} chain {chain!r} is not there any more")
    after = []
    for row in [first, *rows]:
        if len(row.erased) > len(hashing.ZERO):
            raise NotFound(f"number {row.seq_num} was erased with its id, and so nothing proves what came before it")
        after.append([row.id, series.digest(row, series.text(row)).hex()])
    return {
        **anchored.signed,
        "head": head,
        "index": index,
        "path": [each.hex() for each in merkle.path(anchored.leaves, index)],
        "row": json.loads(encode(first)),
        "previous": _previous(storage, kind, chain, seq_num),
        "after": after[1:],
    }


def _rows(storage: Storage, kind: str, chain: str, first: int, last: int) -> Iterator[Any]:
    after = first - 1
    while after < last:
        page = storage.list_chain(kind, chain, after, limit=min(_PAGE, last - after))
        yield from page
        if not page:
            return
        after = page[-1].seq_num


def _previous(storage: Storage, kind: str, chain: str, seq_num: int) -> str:
    """The hash before a row: the row's before it, or where a purge took that, the one that the head keeps."""
    if seq_num == 1:
        return hashing.ZERO
    for row in storage.list_chain(kind, chain, seq_num - 2, limit=1):
        if row.seq_num == seq_num - 1:
            return str(row.hash)
    of_chain = (each.base_hash for each in storage.chain_heads() if (each.kind, each.chain) == (kind, chain))
    return next(of_chain, hashing.ZERO)


def check_proof(proof: dict[str, Any], key: Ed25519PublicKey) -> dict[str, Any]:
    """The row that a proof is about, if it proves it.

    Raises:
        InvalidRecord: it doesn't.
    """
    try:
        require_signature({name: proof[name] for name in ("anchor", "created_at", "heads", "root", "signature")}, key)
        head, series, row = proof["head"], _SERIES[proof["head"]["kind"]], proof["row"]
        record = _record(head["kind"], row)
        number, chain = record.seq_num, head["chain"]
        last = record.hash
        fits = series.owner(record) == chain and len(record.erased) <= len(hashing.ZERO)
        fits &= series.follows(proof["previous"], record, series.text(record))
        for id, digest in proof["after"]:
            number += 1
            last = hashing.row_hash(last, number, hashing.fixed_part(chain, id, bytes.fromhex(digest)))
        fits &= (number, last) == (head["seq_num"], head["hash"])
        beside = [bytes.fromhex(each) for each in proof["path"]]
        found = merkle.root_by(beside, merkle.leaf(text(head)), proof["index"], proof["heads"])
        fits &= found is not None and found.hex() == proof["root"]
    except InvalidRecord:
        raise
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError, RecursionError) as error:
        raise InvalidRecord("proof", "is not what prove() gives") from error
    if not fits:
        raise InvalidRecord("proof", "does not lead from its row to what was signed")
    return row  # type: ignore[no-any-return]


def _record(kind: str, row: dict[str, Any]) -> Any:
    """The record that a row of a proof is, and says no more and nothing otherwise than that: not all of it is hashed as
    it stands there.
    """
    record = decode(_RECORDS[kind], json.dumps(row))
    with suppress(InvalidRecord):
        if text(json.loads(encode(record.cleaned()))) == text(row):
            return record
    raise ValueError
