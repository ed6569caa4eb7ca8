"""``python -m tests.frameworks.langgraph.writer URL``: saves a thread that grows, and names what is saved."""

from __future__ import annotations

import sys

import django
from django.conf import settings


def main(url: str) -> None:
    settings.configure(INSTALLED_APPS=["chronos_storage", "chronos_storage.integrations.langgraph"], USE_TZ=True)
    django.setup()
    from chronos_storage import connect
    from chronos_storage.integrations.langgraph import ChronosSaver
    from tests.frameworks.langgraph.graphs import STEP, checkpoint, config

    saver, given, said = ChronosSaver(connect(url)), config("killed"), []
    while True:
        said.append(f"{len(said)} " * 200)
        given = saver.put(given, checkpoint({"said": list(said)}, len(said)), STEP, {"said": len(said)})
        saver.put_writes(given, [("said", len(said))], "task")
        print(given["configurable"]["checkpoint_id"], flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
