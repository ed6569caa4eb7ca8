"""``mysqldump`` and its companions, MariaDB's among them."""

from __future__ import annotations

import gzip
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from django.db import OperationalError

from ..compat.connections import client_call, is_mariadb
from ..exceptions import InvalidRecord, StoreFailure
from .dumping import TABLE, ServerTools
from .programs import CHUNK, program, run, version_of

#: The table that says, while all others are replaced, in which file they are: who is killed then leaves it.
_NOTE = "chronos_storage_put_aside"


class MysqlTools(ServerTools):
    """``mariadb-dump`` or ``mysqldump``, packed by gzip, and ``mariadb`` or ``mysql``."""

    ending = ".sql.gz"
    _WHOLE = b"-- Dump completed"

    def _find(self) -> None:
        for name in ("mariadb-dump", "mysqldump") if is_mariadb(self.connection) else ("mysqldump",):
            if (found := shutil.which(name)) is None:
                continue
            if ("MariaDB" in version_of(found)) == is_mariadb(self.connection):
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
            *self._without_left_views(),
        ]
        with self._call(*parameters) as arguments, path.open("wb") as file, gzip.GzipFile("", "wb", 3, file) as packed:
            run([self.dump or "", *arguments], {}, sink=packed, progress=progress)

    def check(self, path: Path) -> bool:
        last, has_table = b"", False
        try:
            with gzip.open(path) as file:
                for line in iter(lambda: file.readline(CHUNK), b""):
                    last = line if line.strip() else last
                    has_table = has_table or line.startswith(f"CREATE TABLE `{TABLE}`".encode())
        except (OSError, EOFError) as error:
            raise InvalidRecord("file", f"{path} is no whole backup by mysqldump: {error}") from error
        if not last.startswith(self._WHOLE):
            raise InvalidRecord("file", f"{path} is no whole backup by mysqldump: its last line is not there")
        return has_table

    def tables(self) -> list[tuple[str, str]]:
        with self.connection.cursor() as cursor:
            cursor.execute("SHOW FULL TABLES")
            quote = self.connection.ops.quote_name
            found = [("VIEW" if kind == "VIEW" else "TABLE", name) for name, kind in cursor.fetchall()]
        return [(kind, quote(name)) for kind, name in found if name != _NOTE]

    def put_aside(self) -> Path | None:
        if _NOTE not in self.connection.introspection.table_names():
            return None
        with self.connection.cursor() as cursor:
            cursor.execute(f"SELECT path FROM {_NOTE}")  # noqa: S608 - a name of our own
            found = cursor.fetchone()
        return Path(found[0]) if found and Path(found[0]).exists() else None

    def _without_left_views(self) -> list[str]:
        """Leave out views whose tables a killed `replace` removed: they can't be dumped, and are in its file."""
        views = ", ".join(name for kind, name in self.tables() if kind == "VIEW")
        if not views or self.put_aside() is None:
            return []
        with self.connection.cursor() as cursor:
            cursor.execute(f"CHECK TABLE {views}")
            found = cursor.fetchall()
        return [f"--ignore-table={name}" for name in sorted({name for name, _, kind, _ in found if kind == "Error"})]

    def replace(self, path: Path, was: Path | None) -> None:
        earlier = self.put_aside()  # which is named until one is done
        if was is not None and earlier is None:
            self._note(was)

        def undone() -> None:
            if earlier is None:
                self._forget()

        try:
            self._empty()
        except StoreFailure:  # all is there still
            undone()
            raise
        try:
            self._read(path)
        except BaseException:
            if was is not None:
                self._empty()
                self._read(was)
                undone()
            raise
        self._forget()

    def _note(self, was: Path) -> None:
        self._forget()
        with self.connection.cursor() as cursor:
            cursor.execute(f"CREATE TABLE {_NOTE} (id INT PRIMARY KEY, path LONGTEXT) CHARACTER SET utf8mb4")
            cursor.execute(f"INSERT INTO {_NOTE} VALUES (1, %s)", [str(was.absolute())])  # noqa: S608 - the same

    def _forget(self) -> None:
        with self.connection.cursor() as cursor:
            cursor.execute(f"DROP TABLE IF EXISTS {_NOTE}")

    def _empty(self) -> None:
        try:
            with self.connection.constraint_checks_disabled(), self.connection.cursor() as cursor:
                cursor.execute(f"SET SESSION lock_wait_timeout = {self.lock_seconds}")
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
        reader = program("mariadb" if is_mariadb(self.connection) and shutil.which("mariadb") else "mysql")
        with self._call("--max-allowed-packet=1G") as arguments, gzip.open(path) as file:
            run([reader, *arguments], {}, source=iter(partial(file.read, CHUNK), b""))

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
