"""Five releases of a made-up shop, and their workers: ``python -m tests.releases STORE RELEASE``.

Each release changed the state that its agents' checkpoints keep, and brought the upcaster from the one before it. A
worker goes through all sessions once: it reads every checkpoint, resumes from the latest one, and saves the next in the
shape of its own release. What a newer release wrote it leaves to newer workers. It prints what it has done, as JSON.
The store is as `tests.appenders` takes it.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import django

from tests.appenders import storage_of

if TYPE_CHECKING:
    from chronos_storage import Storage
    from chronos_storage.records import Checkpoint

State = dict[str, Any]
SCHEMA, NEWEST, PER_SESSION = "shop.cart", 5, 49


def _rename(state: State) -> State:
    """Release 2: ``sum`` is ``total``."""
    for item in state["cart"]["items"]:
        item["total"] = item.pop("sum")
    return state


def _split(state: State) -> State:
    """Release 3: a name is two."""
    first, _, last = state.pop("name").partition(" ")
    return {**state, "first_name": first, "last_name": last}


def _remove(state: State) -> State:
    """Release 4: nobody looks at ``debug``."""
    return {name: value for name, value in state.items() if name != "debug"}


def _move(state: State) -> State:
    """Release 5: the class of the cart is another module's, and has another name."""
    state["cart"]["class"] = {"shop.cart.Cart": "shop.models.Basket"}[state["cart"]["class"]]
    return state


STEPS = {1: _rename, 2: _split, 3: _remove, 4: _move}


def state_of(number: int, release: int) -> State:
    """The state of a checkpoint as a release writes it."""
    items = [{"sum" if release < 2 else "total": number * 100 + each} for each in range(number % 3)]
    cart = {"class": "shop.cart.Cart" if release < 5 else "shop.models.Basket", "items": items}
    names = {"name": f"Ada {number}"} if release < 3 else {"first_name": "Ada", "last_name": f"{number}"}
    return {"number": number, "cart": cart, **names, **({"debug": [number]} if release < 4 else {})}


def register(release: int) -> None:
    """What `AppConfig.ready` of a release does."""
    from chronos_storage import upcasters

    for version in range(1, release):
        upcasters.register(SCHEMA, version, STEPS[version])


def old_checkpoints(count: int) -> Iterator[Checkpoint]:
    """So many, written by all releases in turn."""
    from chronos_storage.records import Checkpoint

    for number in range(count):
        release = number % NEWEST + 1
        checkpoint = Checkpoint(
            id=f"{number}",
            session_id=f"{number // PER_SESSION:06}",
            seq_num=number % PER_SESSION + 1,
            state=state_of(number, release),
            schema=SCHEMA,
            schema_version=release,
        )
        checkpoint.complete()
        yield checkpoint


def work(storage: Storage, release: int) -> dict[str, int]:
    """Go through all sessions once."""
    from chronos_storage.exceptions import FenceHeld

    done = {"read": 0, "left": 0, "resumed": 0}
    for session in list(storage.iter_sessions()):
        for saved in storage.iter_checkpoints(session.id):
            if saved.schema_version > release:
                done["left"] += 1
                continue
            assert (saved.schema, saved.schema_version) == (SCHEMA, release)
            assert saved.state == state_of(saved.state["number"], release)
            done["read"] += 1
        while True:
            try:
                done["resumed"] += resume(storage, session.id, release)
                break
            except FenceHeld:
                time.sleep(0.001)
    return done


def resume(storage: Storage, session_id: str, release: int) -> bool:
    """Go on from a session's latest checkpoint, if this release can."""
    with storage.session(session_id, holder=f"release {release}") as session:
        latest = storage.get_latest_checkpoint(session_id)
        assert latest is not None
        if latest.schema_version > release:
            return False
        state = state_of(latest.state["number"] + 1, release)
        session.checkpoint(state, schema=SCHEMA, schema_version=release)
        return True


def side_by_side(storage: Storage, store: str, environment: dict[str, str], count: int) -> dict[int, dict[str, int]]:
    """Fill a store with so many old checkpoints, and have workers of releases 3 and 5 go through it at once.

    Args:
        store: the same, as `tests.appenders` takes it.

    Returns:
        What each has done, by its release.
    """
    from chronos_storage.records import Session

    for number in range(-(-count // PER_SESSION)):
        storage.create_session(Session(id=f"{number:06}"))
    storage.load(old_checkpoints(count))
    command = [sys.executable, "-m", "tests.releases", store]
    workers = {
        release: subprocess.Popen([*command, f"{release}"], env=environment, stdout=subprocess.PIPE)
        for release in (3, NEWEST)
    }
    return {release: json.loads(worker.communicate()[0]) for release, worker in workers.items()}


def main(store: str, release: str) -> None:
    django.setup()
    register(int(release))
    print(json.dumps(work(storage_of(store), int(release))))


if __name__ == "__main__":
    main(*sys.argv[1:])
