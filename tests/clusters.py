"""Databases that a Citus cluster keeps: on its coordinator and on each of its workers."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import urlsplit

import psycopg


def join(urls: Sequence[str]) -> None:
    """Make a cluster of the databases at these addresses, the coordinator's first; each gets the extension."""
    for url in urls:
        with psycopg.connect(url, autocommit=True) as node:
            node.execute("CREATE EXTENSION citus")
    coordinator, *workers = map(urlsplit, urls)
    with psycopg.connect(coordinator.geturl(), autocommit=True) as connection:
        connection.execute("SELECT citus_set_coordinator_host(%s, %s)", [coordinator.hostname, coordinator.port])
        for worker in workers:
            connection.execute("SELECT citus_add_node(%s, %s)", [worker.hostname, worker.port])


def workers(url: str) -> list[str]:
    """The addresses of the workers' databases, by the coordinator's."""
    place = urlsplit(url)
    with psycopg.connect(url, autocommit=True) as connection:
        nodes = connection.execute("SELECT node_name, node_port FROM citus_get_active_worker_nodes() ORDER BY 1, 2")
        return [place._replace(netloc=f"{place.username}@{host}:{port}").geturl() for host, port in nodes]


def create(url: str, name: str) -> None:
    """Make a database of this name on all nodes of the cluster whose coordinator's database this is."""
    urls = [url, *workers(url)]
    for each in urls:
        with psycopg.connect(each, autocommit=True) as node:
            node.execute(f"CREATE DATABASE {name}")
    join([urlsplit(each)._replace(path=f"/{name}").geturl() for each in urls])


def drop(url: str, name: str) -> None:
    """Remove it from all of them."""
    for each in [url, *workers(url)]:
        with psycopg.connect(each, autocommit=True) as node:
            node.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
