"""A worker that is killed has lost nothing that it was told is saved."""

from __future__ import annotations

import subprocess
import sys
from itertools import islice
from urllib.parse import quote

from django.db import connections

from chronos_storage import Storage
from chronos_storage.integrations.langgraph import ChronosSaver
from tests.conftest import STRICTEST, alias_of
from tests.frameworks.langgraph.graphs import config

alias = alias_of(STRICTEST)


def test_what_was_acknowledged_is_there_after_a_kill(storage_committed: Storage) -> None:
    said = connections[storage_committed.alias].settings_dict
    place = f"{said['HOST']}:{said['PORT']}/{said['NAME']}"
    url = f"postgres://{quote(said['USER'])}:{quote(said['PASSWORD'])}@{place}"
    writer = subprocess.Popen(
        [sys.executable, "-m", "tests.frameworks.langgraph.writer", url], stdout=subprocess.PIPE, text=True
    )
    with writer:
        assert writer.stdout
        acknowledged = [line.strip() for line in islice(writer.stdout, 12)]
        writer.kill()
        acknowledged += [line.strip() for line in writer.stdout if line.endswith("\n")]

    saver = ChronosSaver(storage_committed)
    for number, id in enumerate(acknowledged, 1):
        found = saver.get_tuple(config("killed", checkpoint_id=id))
        assert found is not None
        assert found.checkpoint["channel_values"]["said"] == [f"{each} " * 200 for each in range(number)]
        assert found.pending_writes == [("task", "said", number)]
    assert len(acknowledged) >= 12
