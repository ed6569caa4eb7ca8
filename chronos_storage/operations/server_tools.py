"""The programs by which PostgreSQL and MariaDB or MySQL write a database into a file, and read it back."""

from __future__ import annotations

import gzip
import os
import re
import shutil
import subprocess
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import IO, Any

from django.db import OperationalError, connections

from ..compat.connections import client_call, is_mariadb, server_version, settings_of
from ..exceptions import InvalidRecord, StoreFailure
from ..ledger.mapping import SESSIONS

_CHUNK = 1 << 20
#: How long the tables of others' open transactions are waited for.
LOCK_SECONDS = 10
#: Bytes in which a script's settings stand.
_HEAD = 4096
_TABLE = SESSIONS.model._meta.db_table


class ServerTools(ABC):
    """A database on a server, and the programs for it.

    Attributes:
        ending: of the names of their files.
        dump: the program that writes them, with its path; None where there is none that is fit.
        problem: why there is none.
    """

    ending: str

    def __init__(self, alias: str) -> None:
        self.connection: Any = connections[alias]
        self.settings: dict[str, Any] = settings_of(self.connection)
        self.dump: str | None = None
        self.problem = ""
        self._find()

    @abstractmethod
    def _find(self) -> None:
        """Find the program."""

    @abstractmethod
    def write(self, path: Path, progress: Callable[[int], object]) -> None:
        """Write all of the database, as it is at one moment.

        Args:
            progress: called with the number of bytes so far.
        """

    @abstractmethod
    def check(self, path: Path) -> bool:
        """See that a file is whole; whether it has this app's tables.

        Raises:
            InvalidRecord: it isn't.
        """

    @abstractmethod
    def tables(self) -> list[tuple[str, str]]:
        """What the database has: each time what it is, and its name, as SQL has them."""

    @abstractmethod
    def replace(self, path: Path, was: Path | None) -> None:
        """Put what stands in a file in the place of all that the database has; where that fails, it is as before.

        Args:
            was: what it has, in such a file; None where that is nothing.
        """


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
            _run([self.dump or "", *arguments], variables, sink=file, progress=progress)

    def check(self, path: Path) -> bool:
        program = _program("pg_restore")
        try:
            _run([program, f"--file={os.devnull}", str(path)], {})
            listed = _run([program, "--list", str(path)], {})
        except StoreFailure as error:
            raise InvalidRecord("file", f"{path} is no whole backup by pg_dump: {error}") from error
        return re.search(rf" TABLE \S+ {_TABLE} ", listed) is not None

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
        _run([_program("psql"), *arguments, "--set=ON_ERROR_STOP=1"], variables, source=self._script(path))

    def _script(self, path: Path) -> Iterator[bytes]:
        """What replaces everything, in one transaction: who reads only a part of it has changed nothing."""
        drops = [f"DROP {kind} IF EXISTS {name} CASCADE;" for kind, name in self.tables()]
        yield "\n".join(["BEGIN;", f"SET LOCAL lock_timeout = '{LOCK_SECONDS}s';", *drops, ""]).encode()
        program = _program("pg_restore")
        listed = _run([program, "--list", str(path)], {})
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
            pieces = _printed([program, *options, str(path)], {})
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


class MysqlTools(ServerTools):
    """``mariadb-dump`` or ``mysqldump``, packed by gzip, and ``mariadb`` or ``mysql``."""

    ending = ".sql.gz"
    _WHOLE = b"-- Dump completed"

    def _find(self) -> None:
        for name in ("mariadb-dump", "mysqldump") if is_mariadb(self.connection) else ("mysqldump",):
            if (found := shutil.which(name)) is None:
                continue
            if ("MariaDB" in _version(found)) == is_mariadb(self.connection):
                self.dump = found
                return
        kind = "MariaDB" if is_mariadb(self.connection) else "MySQL"
        self.problem = f"neither mariadb-dump nor mysqldump of {kind} is installed"

    def write(self, path: Path, progress: Callable[[int], object]) -> None:
        parameters = [
            "--single-transaction",
            "--routines",
            "--triggers",
            "--hex-blob",
            "--no-tablespaces",
            "--comments",  # the last of which says that all is there
            "--max-allowed-packet=1G",
            *(() if is_mariadb(self.connection) else ("--set-gtid-purged=OFF",)),
        ]
        with self._call(*parameters) as arguments, path.open("wb") as file, gzip.GzipFile("", "wb", 3, file) as packed:
            _run([self.dump or "", *arguments], {}, sink=packed, progress=progress)

    def check(self, path: Path) -> bool:
        last, has_table = b"", False
        try:
            with gzip.open(path) as file:
                for line in iter(lambda: file.readline(_CHUNK), b""):
                    last = line if line.strip() else last
                    has_table = has_table or line.startswith(f"CREATE TABLE `{_TABLE}`".encode())
        except (OSError, EOFError) as error:
            raise InvalidRecord("file", f"{path} is no whole backup by mysqldump: {error}") from error
        if not last.startswith(self._WHOLE):
            raise InvalidRecord("file", f"{path} is no whole backup by mysqldump: its last line is not there")
        return has_table

    def tables(self) -> list[tuple[str, str]]:
        with self.connection.cursor() as cursor:
            cursor.execute("SHOW FULL TABLES")
            quote = self.connection.ops.quote_name
            return [("VIEW" if kind == "VIEW" else "TABLE", quote(name)) for name, kind in cursor.fetchall()]

    def replace(self, path: Path, was: Path | None) -> None:
        self._empty()
        try:
            self._read(path)
        except BaseException:
            if was is not None:
                self._empty()
                self._read(was)
            raise

    def _empty(self) -> None:
        try:
            with self.connection.constraint_checks_disabled(), self.connection.cursor() as cursor:
                cursor.execute(f"SET SESSION lock_wait_timeout = {LOCK_SECONDS}")
                has = self.tables()
                for kind in ("TABLE", "VIEW"):
                    # One statement: it waits for all of them before it removes one.
                    if names := ", ".join(name for each, name in has if each == kind):
                        cursor.execute(f"DROP {kind} IF EXISTS {names}")
        except OperationalError as error:
            raise StoreFailure(f"the tables can't be removed: {error}") from error
        finally:
            self.connection.close()  # with the time limit

    def _read(self, path: Path) -> None:
        program = _program("mariadb" if is_mariadb(self.connection) and shutil.which("mariadb") else "mysql")
        with self._call("--max-allowed-packet=1G") as arguments, gzip.open(path) as file:
            _run([program, *arguments], {}, source=iter(partial(file.read, _CHUNK), b""))

    def _call(self, *parameters: str) -> AbstractContextManager[list[str]]:
        return _with_password_file(self.connection, self.settings, parameters)


@contextmanager
def _with_password_file(connection: Any, settings: dict[str, Any], parameters: Sequence[str]) -> Iterator[list[str]]:
    """The arguments of a program of MariaDB's or MySQL's, the password in a file that nobody else may read."""
    options = dict(settings["OPTIONS"])
    defaults = options.pop("read_default_file", None)
    arguments, variables = client_call(connection, {**settings, "OPTIONS": options})
    written = [f"!include {defaults}"] if defaults else []
    if password := variables.get("MYSQL_PWD"):
        escaped = password.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
        written += ["[client]", f'password="{escaped}"']
    *arguments, database = arguments
    if options.get("ssl_disabled"):
        arguments.append("--skip-ssl")
    with ExitStack() as stack:
        if written:
            file = stack.enter_context(tempfile.NamedTemporaryFile("w", suffix=".cnf"))
            file.write("\n".join([*written, ""]))
            file.flush()
            arguments.insert(0, f"--defaults-extra-file={file.name}")
        yield [*arguments, *parameters, database]


def server_tools(alias: str) -> ServerTools | None:
    """The tools for the database of an alias; None where it is on no server."""
    tools = {"postgresql": PostgresTools, "mysql": MysqlTools}.get(connections[alias].vendor)
    return None if tools is None else tools(alias)


def _program(name: str) -> str:
    if (found := shutil.which(name)) is None:
        raise StoreFailure(f"{name} is not installed, which reads such a backup")
    return found


def _version(program: str) -> str:
    return _run([program, "--version"], {})


def _major(program: str) -> int:
    found = re.search(r"\d+", _version(program))
    return int(found[0]) if found else 0


def _run(
    command: Sequence[str],
    variables: dict[str, str],
    *,
    source: Iterator[bytes] | None = None,
    sink: IO[bytes] | Any = None,
    progress: Callable[[int], object] | None = None,
) -> str:
    """Run a program to its end; returns what it printed, unless that goes elsewhere.

    Raises:
        StoreFailure: it failed; with the last that it said.
    """
    printed, size = [], 0
    for piece in _printed(command, variables, source):
        if sink is None:
            printed.append(piece)
            continue
        sink.write(piece)
        size += len(piece)
        if progress is not None:
            progress(size)
    return b"".join(printed).decode(errors="replace")


def _printed(
    command: Sequence[str], variables: dict[str, str], source: Iterator[bytes] | None = None
) -> Iterator[bytes]:
    """Run a program to its end; what it prints, piece by piece, or nothing where it is given something.

    Raises:
        StoreFailure: it failed; with the last that it said.
    """
    with (
        tempfile.TemporaryFile() as said,
        subprocess.Popen(  # noqa: S603 - a program of the server's, and what the settings say
            command,
            env=os.environ | variables,
            stdin=subprocess.DEVNULL if source is None else subprocess.PIPE,
            stdout=said if source is not None else subprocess.PIPE,
            stderr=said,
            start_new_session=True,  # Ctrl-C is for us, who end it
        ) as process,
    ):
        try:
            if source is not None:
                _give(process, source)
            elif process.stdout is not None:
                yield from iter(partial(process.stdout.read1, _CHUNK), b"")  # type: ignore[attr-defined]
            process.wait()
        except BaseException:
            process.kill()
            raise
        if process.returncode:
            said.seek(0)
            lines = said.read().decode(errors="replace").strip().splitlines() or ["it said nothing"]
            why = [line for line in lines if "error" in line.lower()] or lines
            raise StoreFailure(f"{Path(command[0]).name} failed: {why[-1]}")


def _give(process: subprocess.Popen[bytes], source: Iterator[bytes]) -> None:
    stdin: Any = process.stdin
    try:
        for piece in source:
            stdin.write(piece)
        stdin.close()
    except BrokenPipeError:  # it has ended, and said why
        with suppress(BrokenPipeError):
            stdin.close()
