"""Connections with a Redis server, and its errors in our words."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache, partial
from typing import Any, NoReturn, TypeVar
from urllib.parse import parse_qsl, quote, urlsplit

import redis
from redis import exceptions
from redis.backoff import NoBackoff
from redis.retry import Retry

from ...exceptions import ConfigurationError, StoreFailure
from ...forks import PerProcess
from .driver import Unavailable

T = TypeVar("T")

#: The options that `open_server` takes, and what an address's query says of them is read by.
_OPTIONS: dict[str, Callable[[str], Any]] = {
    "base": str,
    "cluster": lambda text: text.lower() in ("1", "true", "yes"),
    "timeout": float,
    "max_connections": int,
}
#: Seconds that a connection is waited for, made or from the pool.
_CONNECT_SECONDS = 5
_UNREADABLE = "the address of Redis can't be read: write redis://user:password@host:port/database"
#: How errors begin that are over by themselves, for those that have no class of their own.
_PASSING = ("BUSY ", "LOADING", "MASTERDOWN", "TRYAGAIN", "CLUSTERDOWN", "READONLY", "NOREPLICAS")
_AWAY = (
    exceptions.ConnectionError,
    exceptions.TimeoutError,
    exceptions.ReadOnlyError,
    exceptions.RedisClusterException,  # none of its nodes answers
    OSError,
)
_MOVED = ("MOVED", "ASK", "CROSSSLOT")


class _Clients:
    """A client of redis-py, whose connections its users share, and how many use it just now."""

    def __init__(self, make: Callable[[], Any]) -> None:
        self.client = make()
        self.users = 0
        self.is_over = False


class RedisServer(PerProcess):
    """Connections with the server, or cluster, of an address.

    Threads share them, and a forked child makes its own. Nothing is sent a second time by itself.

    Args:
        url: ``redis://user:password@host:port/database``, ``rediss://`` with TLS, or ``unix:///path?db=0``.
        cluster: whether it is one of the nodes of a cluster.
        timeout: seconds that an answer is waited for.
        max_connections: how many there are at most; whoever needs another waits for one.
    """

    def __init__(self, url: str, *, cluster: bool, timeout: float, max_connections: int, **tls: Any) -> None:
        options: dict[str, Any] = {
            "max_connections": max_connections,
            "socket_timeout": timeout,
            "socket_connect_timeout": _CONNECT_SECONDS,
            "protocol": 2,
            "retry": Retry(NoBackoff(), 0),
            **tls,
        }
        self._make = partial(_cluster if cluster else _single, url, options)
        try:
            place = urlsplit(url)
            if place.scheme != "unix":
                options["socket_keepalive"] = True
            self._name = place.path if place.scheme == "unix" else f"{place.hostname}:{place.port or 6379}{place.path}"
            if database := dict(parse_qsl(place.query)).get("db"):
                self._name += f"?db={database}"
            if not cluster:
                self._make()  # which connects with nothing yet
        except (TypeError, ValueError):  # whose message may have parts of the password
            raise ConfigurationError(_UNREADABLE) from None
        super().__init__()

    def begin(self) -> None:
        self._lock = threading.Lock()
        self._clients: _Clients | None = None

    def __str__(self) -> str:
        return self._name

    @contextmanager
    def client(self) -> Iterator[Any]:
        """The client of redis-py, whose connections are there until the end of the block."""
        with self._lock:
            if self._clients is None:
                self._clients = _Clients(self._make)
            clients = self._clients
            clients.users += 1
        try:
            yield clients.client
        finally:
            with self._lock:
                clients.users -= 1
                is_last = clients.is_over and not clients.users
            if is_last:
                clients.client.close()

    def ask(self, function: Callable[[Any], T]) -> T:
        """What a function of the client returns.

        Raises:
            Unavailable: the server is away or busy; what was sent may have been done.
            StoreFailure: the server can't do it, whoever asks.
            ConfigurationError: it lets us not in, or is part of a cluster.
        """
        try:
            with self.client() as client:
                return function(client)
        except (exceptions.RedisError, exceptions.RedisClusterException, OSError) as error:
            self._raise(error)

    def run(self, script: str, key: str, arguments: list[Any]) -> Any:
        """What a script answers, which the server may have yet to be given."""
        try:
            return self.ask(lambda client: client.evalsha(_digest(script), 1, key, *arguments))
        except _NoScript:
            return self.ask(lambda client: client.eval(script, 1, key, *arguments))

    def about(self) -> About:
        """What the server says of itself."""
        found = self.ask(lambda client: _info(client))
        name = "valkey" if "valkey_version" in found else "redis"
        version = found.get("redis_version", "0")
        return About(f"{name} {found.get(f'{name}_version')}", int(str(version).split(".")[0]), _problem(found))

    def _raise(self, error: Exception) -> NoReturn:
        said = str(error)
        if isinstance(error, exceptions.NoScriptError):
            raise _NoScript from None
        if isinstance(error, exceptions.AuthenticationError | exceptions.AuthorizationError):
            raise ConfigurationError(f"Redis at {self} does not let us in: {said}") from error
        if said.startswith(_MOVED) or isinstance(error, exceptions.MovedError):
            raise ConfigurationError(f"Redis at {self} is a node of a cluster: say ?cluster=true") from error
        if isinstance(error, exceptions.ReadOnlyError):
            self.close()  # another one is written to now, perhaps at the same address
        if isinstance(error, _AWAY) or said.startswith(_PASSING):
            raise Unavailable(f"Redis at {self} can't be asked now: {said}") from error
        raise StoreFailure(f"Redis at {self} can't do it: {said}") from error

    def close(self) -> None:
        """Close the connections, those that are in use once they are not; whoever comes later gets new ones."""
        with self._lock:
            clients, self._clients = self._clients, None
            if clients is None:
                return
            clients.is_over = True
            is_last = not clients.users
        if is_last:
            clients.client.close()


def _single(url: str, options: dict[str, Any]) -> Any:
    pool = redis.BlockingConnectionPool.from_url(url, timeout=_CONNECT_SECONDS, **options)
    return redis.Redis.from_pool(pool)


def _cluster(url: str, options: dict[str, Any]) -> Any:
    return redis.RedisCluster.from_url(url, **options)


class _NoScript(Exception):
    """The server does not know this script by its digest: it was started since, or is asked for the first time."""


@cache
def _digest(script: str) -> str:
    return hashlib.sha1(script.encode(), usedforsecurity=False).hexdigest()


def _info(client: Any) -> dict[str, Any]:
    found: dict[str, Any] = client.info()
    return found


def _problem(about: dict[str, Any]) -> str:
    """What keeps a server from being used, in words."""
    policy = str(about.get("maxmemory_policy", ""))
    if about.get("role") == "slave":
        return "is a replica, which can't be written to"
    if about.get("maxmemory") and policy.startswith("allkeys"):
        return f"removes what it has acknowledged where memory is short: maxmemory-policy is {policy}, set noeviction"
    if about.get("aof_enabled") and about.get("aof_last_write_status") == "err":
        return "can't write to its append-only file"
    return ""


@dataclass(frozen=True, slots=True)
class About:
    """A server.

    Attributes:
        version: with its name, in words.
        number: its major version, as one of Redis.
        problem: why it can't be written to, or may forget; empty where nothing is wrong.
    """

    version: str
    number: int
    problem: str


def open_server(
    host: str,
    password: str,
    database: int,
    *,
    url: str = "",
    base: str = "chronos",
    cluster: bool = False,
    timeout: float = 30.0,
    max_connections: int = 50,
    **tls: Any,
) -> tuple[RedisServer, str]:
    """The server that an address names, and with what the store's keys begin there; see `RedisBackend`.

    Raises:
        ConfigurationError: the address can't be read, or has an option that is not known.
    """
    given = {"base": base, "cluster": cluster, "timeout": timeout, "max_connections": max_connections, **tls}
    if unknown := [name for name in tls if not name.startswith("ssl_")]:
        raise TypeError(f"unexpected option {unknown[0]!r}")
    secret = f":{quote(password, safe='')}@" if password else ""
    url, said = _read(url or f"redis://{secret}{host}/{database}")
    options = given | said
    base = options.pop("base")
    return RedisServer(url, **options), base


def _read(url: str) -> tuple[str, dict[str, Any]]:
    """An address without our part of its query, and that."""
    try:
        place = urlsplit(url)
    except ValueError:
        raise ConfigurationError(_UNREADABLE) from None
    options: dict[str, Any] = {}
    rest = []
    for name, value in parse_qsl(place.query, keep_blank_values=True):
        if name in _OPTIONS:
            try:
                options[name] = _OPTIONS[name](value)
            except ValueError:
                raise ConfigurationError(f"{name} in the address of Redis must be a number") from None
        elif name.startswith("ssl_") or name == "db":
            rest.append(f"{name}={quote(value, safe='')}")
        else:
            known = ", ".join([*_OPTIONS, "db"])
            raise ConfigurationError(f"the address of Redis has {name}; what is known is {known} and ssl_ca_certs …")
    # Not put together from its parts: of no host there would be no slashes.
    return "?".join([url.partition("?")[0], *filter(None, ["&".join(rest)])]), options
