"""The size of a pool of connections, as the query of a database's address says it."""

from __future__ import annotations

from typing import Any

from .exceptions import ConfigurationError

#: By psycopg's names, and by those of Go's pgx.
_NAMES = {
    "pool_min_size": "min_size",
    "pool_max_size": "max_size",
    "pool_min_conns": "min_size",
    "pool_max_conns": "max_size",
}
#: How many connections psycopg's pool keeps open unless something is said.
_MIN_SIZE = 4


def largest_pool(settings: dict[str, Any]) -> int | None:
    """The most connections that the pool of a database has; None where it has no pool."""
    pool = settings["OPTIONS"].get("pool")
    if not pool:
        return None
    sizes: dict[str, Any] = pool if isinstance(pool, dict) else {}
    size: int = sizes.get("max_size") or sizes.get("min_size", _MIN_SIZE)
    return size


def move_pool(kind: str, options: dict[str, Any]) -> None:
    """Move what an address's query says of a pool to where Django's PostgreSQL backend looks for it, under ``pool``.

    Raises:
        ConfigurationError: the name or the size can't be right, or it is another database's address.
    """
    given = {name: options.pop(name) for name in list(options) if name.startswith("pool_")}
    if not given:
        return
    if kind != "postgres":
        raise ConfigurationError(
            f"{next(iter(given))}: only a postgres:// address has a pool; elsewhere each thread has one connection"
        )
    pool: dict[str, int] = {}
    for name, value in given.items():
        if name not in _NAMES:
            raise ConfigurationError(f"{name} is not known of a pool; {', '.join(_NAMES)} are")
        if type(value) is not int or value < 0:
            raise ConfigurationError(f"{name} must be a number of connections, not {value!r}")
        pool[_NAMES[name]] = value
    smallest, largest = pool.get("min_size"), pool.get("max_size")
    if largest is not None and not (smallest or 0) <= largest != 0:
        raise ConfigurationError(f"the pool's largest size, {largest}, must be at least 1 and its smallest, {smallest}")
    if smallest is None:
        pool["min_size"] = min(_MIN_SIZE, pool["max_size"])
    options["pool"] = pool
