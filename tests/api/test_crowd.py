"""Users who ask for all that is large and take none of it: others are answered, and memory stays bounded."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from pytest_django import DjangoDbBlocker

from tests.api.crowd import MAX_MEMORY, Crowd, Memory, ordinary, strings
from tests.api.serving import Site
from tests.databases import PLACES, new_databases


@pytest.fixture
def site(tmp_path: Path, django_db_blocker: DjangoDbBlocker) -> Iterator[Site]:
    if "postgres" not in PLACES:
        pytest.skip("no postgres")
    with django_db_blocker.unblock(), new_databases("postgres", tmp_path) as (url,):
        yield Site(url, "project.settings")


def test_a_crowd_that_asks_for_the_largest(site: Site) -> None:
    # Few of those whom `python -m benchmarks load` has come.
    crowd = Crowd(strings, exports=4, streams=20, pages=12, readers=1, writers=1, rows=1)
    keys = crowd.fill(site)
    with site.served(1):
        assert site.process
        with crowd.asking(site, keys):
            ordinary(site, keys["other"], seconds=1)
        assert not crowd.refused
        assert crowd.statuses["page 200"]
        assert crowd.statuses["batch 201"]
        assert Memory(site.process.pid).peak() < MAX_MEMORY
