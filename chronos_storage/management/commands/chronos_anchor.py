"""``chronos_anchor``: heads of chains, signed, to be kept elsewhere; and what they show later."""

from __future__ import annotations

import json
from argparse import ArgumentParser
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

from django.core.files import File
from django.core.files.storage import InvalidStorageError
from django.core.files.storage import storages as file_storages

from ... import conf, storages
from ...exceptions import ConfigurationError, InvalidRecord
from ...operations import anchors
from ...operations.anchor_checks import Compared, compare
from ...operations.anchor_proofs import check_proof, prove
from ...operations.anchors import Anchored
from ..report import Report, ReportCommand, add_using

_FOLDER = "chronos-anchors"


class Proof:
    """A proof, or the row that it is about, which is printed as it is."""

    problem = ""

    def __init__(self, value: dict[str, Any]) -> None:
        self._value = value

    def as_dict(self) -> dict[str, Any]:
        return self._value

    def __str__(self) -> str:
        return json.dumps(self._value, indent=2)


class Command(ReportCommand):
    help = (
        "write signs the head of every hash chain (Ed25519) into a file, or into the file storage that the settings"
        " name; check compares the store with such a file, and exits with 1 where a chain was cut off or written anew;"
        " prove prints what shows that one row is part of an anchored chain, and check-proof looks at that alone."
    )
    examples = (
        "chronos_anchor write --key private.pem --out anchor.jsonl",
        "chronos_anchor check anchor.jsonl --public-key public.pem --json",
        "chronos_anchor prove anchor.jsonl --public-key public.pem --session 01968e2a --number 7",
        "chronos_anchor check-proof proof.json --public-key public.pem",
    )
    advice = "Nothing was changed."

    def add_arguments(self, parser: ArgumentParser) -> None:
        actions = parser.add_subparsers(dest="action", required=True)
        write = actions.add_parser("write", help="sign the heads")
        write.add_argument("--key", type=Path, metavar="PEM", help='default: CHRONOS_STORAGE["ANCHORS"]["KEY"]')
        write.add_argument(
            "--out", type=Path, metavar="FILE", help='default: into CHRONOS_STORAGE["ANCHORS"]["STORAGE"]'
        )
        check = actions.add_parser("check", help="compare the store with what was signed")
        prove = actions.add_parser("prove", help="show that a row is part of an anchored chain")
        proof = actions.add_parser("check-proof", help="check what prove printed; needs no store")
        for each in (check, prove, proof):
            each.add_argument("file", type=Path, metavar="FILE")
            each.add_argument("--public-key", type=Path, required=True, metavar="PEM")
        prove.add_argument("--session", required=True, metavar="ID", help="the row's session")
        prove.add_argument("--number", required=True, type=int, help="the row's number, from 1")
        prove.add_argument("--audit-log", action="store_true", help="an audit entry's, not an event's")
        for each in (write, check, prove, proof):
            super().add_arguments(each)
        for each in (write, check, prove):
            add_using(each)

    def work(self, **options: Any) -> Report:
        found: Report = getattr(self, f"_{options['action'].replace('-', '_')}")(**options)
        return found

    def _write(self, **options: Any) -> Anchored:
        key = anchors.private_key(options["key"] or Path(_setting("KEY", "--key")))
        target = options["out"]
        name = "" if target else f"{_FOLDER}/{datetime.now(UTC):%Y%m%dT%H%M%SZ}.jsonl"
        kept = None if target else _file_storage()
        with TemporaryFile() as file:  # so that what is broken off leaves nothing
            report = anchors.anchor(storages[options["storage"]], key, file.write, progress=self.show)
            file.seek(0)
            if kept is not None:
                report.name = kept.save(name, File(file))
            else:
                with target.open("xb") as out:
                    out.writelines(file)
                report.name = str(target)
        return report

    def _check(self, **options: Any) -> Compared:
        anchored = _read(options)

        told = 0

        def show(report: Compared) -> None:
            nonlocal told
            for each in report.broken[told:]:
                self.tell(f"{each['kind']} {each['chain']!r}: {each['problem']}")
            told = len(report.broken)
            self.show(report)

        return compare(storages[options["storage"]], anchored, progress=show)

    def _prove(self, **options: Any) -> Proof:
        kind, chain = ("audit_log", f"session:{options['session']}") if options["audit_log"] else ("event", "")
        found = prove(
            storages[options["storage"]], _read(options), kind, chain or options["session"], options["number"]
        )
        return Proof(found)

    def _check_proof(self, **options: Any) -> Proof:
        try:
            proof = json.loads(options["file"].read_bytes())
        except (ValueError, RecursionError) as error:
            raise InvalidRecord("proof", f"{options['file']} is no JSON") from error
        return Proof(check_proof(proof, anchors.public_key(options["public_key"])))


def _read(options: dict[str, Any]) -> anchors.Anchor:
    with options["file"].open("rb") as file:
        return anchors.read_anchor(file, anchors.public_key(options["public_key"]))


def _setting(name: str, option: str) -> str:
    found: str = conf.section("ANCHORS").get(name, "")
    if not found:
        raise ConfigurationError(f'{conf.NAME}["ANCHORS"]["{name}"] is not set: set it, or give {option}')
    return found


def _file_storage() -> Any:
    alias = _setting("STORAGE", "--out")
    try:
        return file_storages[alias]
    except InvalidStorageError as error:
        raise ConfigurationError(f'{conf.NAME}["ANCHORS"]["STORAGE"] names {alias!r}: {error}') from error
