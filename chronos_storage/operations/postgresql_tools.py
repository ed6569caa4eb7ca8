"""``pg_dump`` and its companions."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from ..compat.connections import client_call, server_version
from ..exceptions import InvalidRecord, StoreFailure
from .dumping import TABLE, ServerTools
from .programs import printed, program, run, version_of

#: Bytes in which a script's settings stand.
_HEAD = 4096


class PostgresTools(ServerTools):
    """``pg_dump`` in its own format, and ``pg_restore`` and ``psql``."""

    ending = ".pgdump"
    _KINDS = {  # noqa: RUF012 - of a class that nobody changes
        "r": "TABLE",
        "p": "TABLE",
        "f": "FOREIGN TABLE",
        "v": "VIEW",
        "m": "MATERIALIZED VIEW",
    }

    def _find(self) -> None:
        if (found := shutil.which("pg_dump")) is None:
            self.problem = "pg_dump is not installed"
            return
        has, needs = _major(found), server_version(self.connection)[0]
        if has < needs:
            self.problem = f"pg_dump is of version {has}, and the server of {needs}"
        else:
            self.dump = found

    def write(self, path: Path, progress: Callable[[int], object]) -> None:
        arguments, variables = self._call("--format=custom", "--no-password")
        with path.open("wb") as file:
            run([self.dump or "", *arguments], variables, sink=file, progress=progress)

    def check(self, path: Path) -> bool:
        restorer = program("pg_restore")
        try:
            run([restorer, f"--file={os.devnull}", str(path)], {})
            listed = run([restorer, "--list", str(path)], {})
        except StoreFailure as error:
            raise InvalidRecord("file", f"{path} is no whole backup by pg_dump: {error}") from error
        return re.search(rf" TABLE \S+ {TABLE} ", listed) is not None

    def tables(self) -> list[tuple[str, str]]:
        with self.connection.cursor() as cursor:
            cursor.execute(
                "SELECT c.relkind::text, c.oid::regclass::text FROM pg_class c"
                " JOIN pg_namespace n ON n.oid = c.relnamespace"
                " WHERE c.relkind IN ('r', 'p', 'f', 'v', 'm')"
                " AND n.nspname <> 'information_schema' AND left(n.nspname, 3) <> 'pg_'"
                " AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = c.oid AND d.deptype = 'e'"
                " AND d.classid = 'pg_class'::regclass) ORDER BY 2"
            )
            return [(self._KINDS[kind], name) for kind, name in cursor.fetchall()]

    def replace(self, path: Path, was: Path | None) -> None:
        arguments, variables = self._call("--no-psqlrc", "--quiet", f"--output={os.devnull}", "--no-password")
        run([program("psql"), *arguments, "--set=ON_ERROR_STOP=1"], variables, source=self._script(path))

    def _script(self, path: Path) -> Iterator[bytes]:
        """What replaces everything, in one transaction: who reads only a part of it has changed nothing."""
        drops = [f"DROP {kind} IF EXISTS {name} CASCADE;" for kind, name in self.tables()]
        yield "\n".join(["BEGIN;", f"SET LOCAL lock_timeout = '{self.lock_seconds}s';", *drops, ""]).encode()
        restorer = program("pg_restore")
        listed = run([restorer, "--list", str(path)], {})
        with tempfile.NamedTemporaryFile("w", suffix=".list") as chosen:
            chosen.writelines(f"{line}\n" for line in listed.splitlines() if not self._has(line))
            chosen.flush()
            options = [
                "--clean",  # functions, which no table takes along
                "--if-exists",
                "--no-owner",
                "--no-privileges",
                f"--use-list={chosen.name}",
                "--file=-",
            ]
            pieces = printed([restorer, *options, str(path)], {})
            head = b""
            while len(head) < _HEAD and (piece := next(pieces, b"")):
                head += piece
            if server_version(self.connection)[0] < 17:  # which doesn't know what a newer program sets
                head = head.replace(b"SET transaction_timeout = 0;\n", b"", 1)
            yield head
            yield from pieces
        yield b"COMMIT;\n"

    def _has(self, line: str) -> bool:
        """Whether it is the line of what the database has: the schema, an extension, or a word on one."""
        found = re.search(r" EXTENSION (?:- )?(\S+)", line)
        return " SCHEMA - public " in line or (found is not None and found[1] in self._extensions())

    def _extensions(self) -> set[str]:
        with self.connection.cursor() as cursor:
            cursor.execute("SELECT extname FROM pg_extension")
            return {name for (name,) in cursor.fetchall()}

    def _call(self, *parameters: str) -> tuple[list[str], dict[str, str]]:
        arguments, variables = client_call(self.connection, self.settings, parameters)
        # By a word that these programs take for one database, whatever it is called, and that is empty where a
        # service names it.
        name = str(self.settings["NAME"] or "")
        if name or "PGSERVICE" not in variables:
            name = "dbname='{}'".format(re.sub(r"([\\'])", r"\\\1", arguments.pop()))
        arguments.append(f"--dbname={name}")
        if options := self.settings["OPTIONS"].get("options"):
            variables["PGOPTIONS"] = str(options)
        return arguments, variables


def _major(program: str) -> int:
    found = re.search(r"\d+", version_of(program))
    return int(found[0]) if found else 0
