"""Signed heads: what shows, kept elsewhere, that a ledger was cut off or written anew.

An anchor is a file of lines: one of JSON for each chain, its kind, name, last number and hash, and as the last line the
root of a Merkle tree over them (see `chains.merkle`), signed with Ed25519 (RFC 8032). Whoever has the public key can
check the file alone, check the store against it, and prove to others that one row is part of an anchored chain.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .. import records
from ..backends.document.serialization import decode, encode
from ..chains import hashing, merkle
from ..chains.erasing import nameless
from ..chains.numbering import ACTOR, AuditLogs, Chained, Events, session_of
from ..exceptions import InvalidRecord, NotFound
from ..extras import require
from ..facade import Storage
from ..records import Verdict

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

_VERSION = 1
_SERIES: dict[str, Chained[Any]] = {"event": Events(), "audit_log": AuditLogs()}
_RECORDS: dict[str, type[Any]] = {"event": records.Event, "audit_log": records.AuditLog}
#: How many rows a proof reads at a time.
_PAGE = 500


def private_key(path: Path) -> Ed25519PrivateKey:
    """The key that signs, from a file as ``openssl genpkey -algorithm ed25519`` writes it.

    Raises:
        ConfigurationError: the library cryptography is not installed.
        InvalidRecord: the file has no such key.
        OSError: it can't be read.
    """
    require("An anchor", "cryptography")
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    with suppress(ValueError, TypeError):
        found = serialization.load_pem_private_key(path.read_bytes(), password=None)
        if isinstance(found, Ed25519PrivateKey):
            return found
    raise InvalidRecord("key", f"{path} has no Ed25519 private key, in PEM and without a password")


def public_key(path: Path) -> Ed25519PublicKey:
    """The key that checks, from a file as ``openssl pkey -pubout`` writes it; raises as `private_key` does."""
    require("An anchor", "cryptography")
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    with suppress(ValueError, TypeError):
        found = serialization.load_pem_public_key(path.read_bytes())
        if isinstance(found, Ed25519PublicKey):
            return found
    raise InvalidRecord("public_key", f"{path} has no Ed25519 public key, in PEM")


# Writing


@dataclass
class Anchored:
    """What was signed.

    Attributes:
        heads: how many chains.
        root: the hash over all of them, in hexadecimal; empty until they are all there.
        name: where the file was put; empty if nowhere yet.
    """

    heads: int = 0
    root: str = ""
    name: str = ""
    problem: str = ""

    def as_dict(self) -> dict[str, Any]:
        """The same, as JSON's types."""
        return {"heads": self.heads, "root": self.root, "name": self.name}

    def __str__(self) -> str:
        return f"Heads: {self.heads:,} anchored{f' in {self.name}' if self.name else ''}."


def anchor(
    storage: Storage,
    key: Ed25519PrivateKey,
    write: Callable[[bytes], object],
    *,
    progress: Callable[[Anchored], object] | None = None,
) -> Anchored:
    """Write the head of every chain of a store, signed.

    Args:
        write: is given the file, some lines at a time.
        progress: called after each chain with the report as far as it is.
    """
    report, leaves = Anchored(), []
    created_at = hashing.time_text(datetime.now(UTC))
    for head in storage.chain_heads():
        if not head.seq_num:
            continue  # rows without a head, which verification finds
        line = _text({"kind": head.kind, "chain": head.chain, "seq_num": head.seq_num, "hash": head.hash})
        leaves.append(merkle.leaf(line))
        write(line + b"\n")
        report.heads += 1
        if progress is not None:
            progress(report)
    root = merkle.root(leaves).hex()
    signed = {"anchor": _VERSION, "created_at": created_at, "heads": len(leaves), "root": root}
    write(_text({**signed, "signature": key.sign(_text(signed)).hex()}) + b"\n")
    report.root = root
    return report


def _text(value: dict[str, Any]) -> bytes:
    return json.dumps(value, ensure_ascii=True, separators=(",", ":"), sort_keys=True).encode()


# Reading


@dataclass(frozen=True)
class Anchor:
    """A file of signed heads that was checked.

    Attributes:
        created_at: when the first head was read.
        heads: each chain's kind, name, last number and hash.
        signed: its last line.
    """

    created_at: datetime
    heads: Sequence[dict[str, Any]]
    signed: dict[str, Any]
    leaves: Sequence[bytes] = field(repr=False)


def read_anchor(lines: Iterable[bytes], key: Ed25519PublicKey) -> Anchor:
    """A file of signed heads, checked against its signature.

    Raises:
        InvalidRecord: it is not as it was signed, or was signed with another key; the line is named.
    """
    heads: list[dict[str, Any]] = []
    leaves: list[bytes] = []
    signed: dict[str, Any] | None = None
    for number, line in enumerate(lines, 1):
        if signed is not None:
            raise InvalidRecord("anchor", f"line {number}: comes after the signature")
        value = _object(line, number)
        if "signature" in value:
            signed = value
        else:
            heads.append(value)
            leaves.append(merkle.leaf(line.rstrip(b"\n")))
    if signed is None:
        raise InvalidRecord("anchor", "has no signature: its last line is missing")
    _require_signature(signed, key)
    if signed["heads"] != len(heads) or signed["root"] != merkle.root(leaves).hex():
        raise InvalidRecord("anchor", "its heads are not those that were signed")
    return Anchor(datetime.fromisoformat(signed["created_at"]), heads, signed, leaves)


def _object(line: bytes, number: int) -> dict[str, Any]:
    with suppress(ValueError, RecursionError):
        found = json.loads(line)
        if isinstance(found, dict):
            return found
    raise InvalidRecord("anchor", f"line {number}: is no object of JSON")


def _require_signature(signed: dict[str, Any], key: Ed25519PublicKey) -> None:
    from cryptography.exceptions import InvalidSignature

    content = {name: value for name, value in signed.items() if name != "signature"}
    if content.get("anchor") != _VERSION or set(content) != {"anchor", "created_at", "heads", "root"}:
        raise InvalidRecord("anchor", f"is of another version than {_VERSION}")
    try:
        key.verify(bytes.fromhex(signed["signature"]), _text(content))
    except (InvalidSignature, ValueError, TypeError, RecursionError):
        raise InvalidRecord("anchor", "its signature is not of this key and these heads") from None


# Checking a store


@dataclass
class Compared:
    """How a store compares with the heads that were signed.

    Attributes:
        heads: how many were compared.
        purged: how many of these rows a purge has removed since, and deleted how many a hard deletion of their
            session; the audit log says why.
        broken: what is wrong with the others.
    """

    heads: int = 0
    purged: int = 0
    deleted: int = 0
    broken: list[dict[str, str]] = field(default_factory=list)

    def note(self, head: dict[str, Any], problem: str) -> None:
        """Report a chain as broken."""
        self.broken.append({"kind": head["kind"], "chain": head["chain"], "problem": problem})

    @property
    def problem(self) -> str:
        """What is wrong; empty if nothing is."""
        return "The ledger is not what was anchored." if self.broken else ""

    def as_dict(self) -> dict[str, Any]:
        """The counts and the broken chains, as JSON's types."""
        return asdict(self)

    def __str__(self) -> str:
        since = "".join(f" {count:,} {what} since," for what, count in self._since() if count)
        return f"Heads: {self.heads:,} compared,{since} {len(self.broken):,} broken."

    def _since(self) -> Iterator[tuple[str, int]]:
        yield "purged", self.purged
        yield "deleted", self.deleted


def compare(storage: Storage, anchored: Anchor, *, progress: Callable[[Compared], object] | None = None) -> Compared:
    """Verify each anchored chain of a store, and whether it still has the row that was its last.

    Args:
        progress: called after each chain with the report as far as it is.
    """
    report, purges = Compared(), _Purges(storage, anchored.created_at)
    for head in anchored.heads:
        report.heads += 1
        # Before the chain is verified, so that a purge or a deletion meanwhile shows there.
        row = next(iter(storage.list_chain(head["kind"], head["chain"], head["seq_num"] - 1, limit=1)), None)
        verdict = _verify(storage, head["kind"], head["chain"])
        if not verdict.intact:
            report.note(head, verdict.problem)
        elif problem := _difference(head, row, verdict):
            if verdict.base_seq >= head["seq_num"] and purges.has(head):
                report.purged += 1
            elif _deleted_since(storage, head, anchored.created_at):
                report.deleted += 1
            else:
                report.note(head, problem)
        if progress is not None:
            progress(report)
    return report


def _difference(head: dict[str, Any], row: Any, verdict: Verdict) -> str:
    """What tells a chain, which is intact, from the one that was anchored; empty if nothing does."""
    number = head["seq_num"]
    if verdict.base_seq >= number:
        return f"begins after number {verdict.base_seq}, and no audit entry says that number {number} was purged"
    if verdict.last_seq < number:
        return f"ends with number {verdict.last_seq}; number {number} was anchored"
    if row is None or (row.seq_num, row.hash) != (number, head["hash"]):
        return f"number {number} is another row than was anchored"
    return ""


class _Purges:
    """What the audit log says was purged since a time."""

    def __init__(self, storage: Storage, since: datetime) -> None:
        self._storage = storage
        self._since = since
        self._through: defaultdict[tuple[str, str], int] = defaultdict(int)

    def has(self, head: dict[str, Any]) -> bool:
        """Whether a chain's row of this number went."""
        chain, number = (head["kind"], head["chain"]), head["seq_num"]
        if self._through[chain] < number:
            self._read()
        return self._through[chain] >= int(number)

    def _read(self) -> None:
        for log in self._storage.iter_audit_logs(actor=ACTOR, action="ledger.purge", since=self._since):
            for each in log.detail.get("chains", ()):
                chain = each["kind"], each["chain"]
                self._through[chain] = max(self._through[chain], each["through_seq"])


def _verify(storage: Storage, kind: str, chain: str) -> Verdict:
    if kind == "event":
        return storage.verify_events(chain)
    session_id = session_of(chain)
    if session_id is not None:
        return storage.verify_audit_logs(session_id)
    return storage.verify_audit_logs(agent_id=chain.removeprefix("agent:"))


def _deleted_since(storage: Storage, head: dict[str, Any], when: datetime) -> bool:
    """Whether the audit log says that the session of this chain was removed since."""
    session_id = head["chain"] if head["kind"] == "event" else session_of(head["chain"])
    if session_id is None:
        return False
    removals = {"session.delete": session_id, "session.erase": nameless(session_id)}
    return any(
        storage.list_audit_logs(action=action, resource=resource, since=when, limit=1)
        for action, resource in removals.items()
    )


# Proofs


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
        _require_signature({name: proof[name] for name in ("anchor", "created_at", "heads", "root", "signature")}, key)
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
        found = merkle.root_by(beside, merkle.leaf(_text(head)), proof["index"], proof["heads"])
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
        if _text(json.loads(encode(record.cleaned()))) == _text(row):
            return record
    raise ValueError
