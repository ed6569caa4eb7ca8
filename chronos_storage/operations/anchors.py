"""Signed heads: what shows, kept elsewhere, that a ledger was cut off or written anew.

An anchor is a file of lines: one of JSON for each chain, its kind, name, last number and hash, and as the last line the
root of a Merkle tree over them (see `chains.merkle`), signed with Ed25519 (RFC 8032). Whoever has the public key can
check the file alone, check the store against it (see `anchor_checks`), and prove to others that one row is part of an
anchored chain (see `anchor_proofs`).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..chains import hashing, merkle
from ..exceptions import InvalidRecord
from ..extras import require
from ..facade import Storage

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

_VERSION = 1


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
        line = text({"kind": head.kind, "chain": head.chain, "seq_num": head.seq_num, "hash": head.hash})
        leaves.append(merkle.leaf(line))
        write(line + b"\n")
        report.heads += 1
        if progress is not None:
            progress(report)
    root = merkle.root(leaves).hex()
    signed = {"anchor": _VERSION, "created_at": created_at, "heads": len(leaves), "root": root}
    write(text({**signed, "signature": key.sign(text(signed)).hex()}) + b"\n")
    report.root = root
    return report


def text(value: dict[str, Any]) -> bytes:
    """What is signed, or a leaf, of an object."""
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
    require_signature(signed, key)
    if signed["heads"] != len(heads) or signed["root"] != merkle.root(leaves).hex():
        raise InvalidRecord("anchor", "its heads are not those that were signed")
    return Anchor(datetime.fromisoformat(signed["created_at"]), heads, signed, leaves)


def _object(line: bytes, number: int) -> dict[str, Any]:
    with suppress(ValueError, RecursionError):
        found = json.loads(line)
        if isinstance(found, dict):
            return found
    raise InvalidRecord("anchor", f"line {number}: is no object of JSON")


def require_signature(signed: dict[str, Any], key: Ed25519PublicKey) -> None:
    """See that the last line of an anchor was signed with this key.

    Raises:
        InvalidRecord: it wasn't.
    """
    from cryptography.exceptions import InvalidSignature

    content = {name: value for name, value in signed.items() if name != "signature"}
    if content.get("anchor") != _VERSION or set(content) != {"anchor", "created_at", "heads", "root"}:
        raise InvalidRecord("anchor", f"is of another version than {_VERSION}")
    try:
        key.verify(bytes.fromhex(signed["signature"]), text(content))
    except (InvalidSignature, ValueError, TypeError, RecursionError):
        raise InvalidRecord("anchor", "its signature is not of this key and these heads") from None
