"""What every page of the admin has to keep to."""

from __future__ import annotations

import pytest
from django.contrib.contenttypes.models import ContentType
from django.db import connections
from django.test.utils import CaptureQueriesContext

from chronos_storage.admin.session_filters import FILTERS
from tests.admin.every_page import a_whole_night, every_page, models, not_looked_at
from tests.admin.pages import url
from tests.conftest import STRICTEST, alias_of

alias = alias_of(STRICTEST)
#: So many queries and no more, the two for the user who asks included.
MOST_QUERIES = 19


def test_every_page_takes_few_queries(site, superuser, alias: str, subtests: pytest.Subtests) -> None:
    a_whole_night(site, others=40)
    _tamper(alias)
    assert not_looked_at() == set()
    ContentType.objects.get_for_models(*models())  # which a process asks for once
    shown = {f"sessions, {show}": f"{url('session')}?show={show}" for show in FILTERS}
    for name, address in (every_page() | shown).items():
        with subtests.test(name), CaptureQueriesContext(connections[alias]) as captured:
            assert superuser.get(address).status_code == 200
            asked = [query["sql"] for query in captured]
            assert len(asked) <= MOST_QUERIES, "\n".join(asked)


def _tamper(alias: str) -> None:
    """Change an event of every other session behind the store's back."""
    with connections[alias].cursor() as cursor:
        cursor.execute("SET LOCAL session_replication_role = replica")  # no trigger fires
        cursor.execute("UPDATE chronos_storage_event SET type = 'other' WHERE session_id LIKE '%2' AND seq_num = 2")
        cursor.execute("SET LOCAL session_replication_role = DEFAULT")
