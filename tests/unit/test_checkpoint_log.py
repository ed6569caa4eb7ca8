"""The item log of checkpoints, without who keeps it: every state comes back to the letter, and costs what is new."""

from __future__ import annotations

import random
from typing import Any

import pytest

from chronos_storage import codec
from chronos_storage.checkpoints.outlines import WHOLE, outline
from chronos_storage.checkpoints.runs import Items, Missing, Run, digests_in, merged, packed
from chronos_storage.checkpoints.skeletons import assembled, place, ranges_of, size_of
from chronos_storage.exceptions import InvalidRecord
from chronos_storage.testing.states import changed, some_json


class Log:
    """A log in memory, which loses what is pruned."""

    def __init__(self) -> None:
        self.rows: dict[int, Run] = {}
        self.end = 0
        self.looks = 0

    def save(self, state: Any, base: Any = None) -> Any:
        skeleton, new = place(outline(state), base, self.end, self.digests)
        for run in packed(new, self.end):
            assert run.start == self.end
            self.rows[run.start] = run
            self.end = run.stop
        return codec.loads(codec.dumps(skeleton))

    def digests(self, ranges: Any) -> dict[int, bytes]:
        self.looks += 1
        return {at: digest for run in self.read(ranges) for at, digest in digests_in(run.start, run.digests)}

    def read(self, ranges: Any) -> list[Run]:
        spans = merged(ranges)
        return [
            run for run in self.rows.values() if any(run.start < stop and run.stop > start for start, stop in spans)
        ]

    def load(self, skeleton: Any) -> str:
        text = assembled(skeleton, Items(self.read(ranges_of(skeleton))))
        assert len(text) == size_of(skeleton)
        return text

    def prune(self, kept: list[Any]) -> None:
        used = self.read([positions for skeleton in kept for positions in ranges_of(skeleton)]) if kept else []
        self.rows = {run.start: run for run in used}

    def size(self, skeletons: list[Any]) -> int:
        """The characters that are kept."""
        runs = sum(len(run.items) + len(run.digests) for run in self.rows.values())
        return runs + sum(len(codec.dumps(skeleton)) for skeleton in skeletons)


@pytest.mark.parametrize("seed", range(8))
def test_every_historic_state_is_exact(seed: int) -> None:
    """Whatever is edited, removed, nested or large, from whichever base, with prunes in between."""
    chance, log = random.Random(seed), Log()
    kept: list[tuple[str, Any]] = []
    state: Any = {f"k{number}": some_json(chance) for number in range(chance.choice([4, 9, 30]))}
    for _ in range(80):
        for _ in range(chance.choice([0, 1, 1, 3])):
            state = changed(chance, state)
            state = state if isinstance(state, dict) else {"state": state}
        base = chance.choice([None, *[skeleton for _, skeleton in kept[-5:]], *[kept[-1][1]] * 9]) if kept else None
        kept.append((codec.encode(state), log.save(state, base)))
        if chance.random() < 0.1:
            kept = [each for each in kept if chance.random() < 0.7] or kept[-1:]
            log.prune([skeleton for _, skeleton in kept])
        if chance.random() < 0.1:  # as a fork goes on from an older one
            state = codec.loads(chance.choice(kept)[0])
    for text, skeleton in kept:
        assert log.load(skeleton) == text
    log.prune([])
    assert not log.rows


def message(chance: random.Random, number: int) -> dict[str, Any]:
    """A message about as long as those of real conversations."""
    words = " ".join(chance.choice(["flight", "of", "reservation", "the", "confirm", "yes"]) for _ in range(90))
    return {"role": chance.choice(["user", "assistant", "tool"]), "content": f"{number} {words}", "tool_calls": None}


def test_a_state_that_grows_costs_what_is_new() -> None:
    """And the log is not looked at: only what comes is hashed and written."""
    chance, log = random.Random(1), Log()
    skeletons: list[Any] = []
    messages: list[Any] = []
    for turn in range(150):
        messages += [message(chance, 2 * turn), message(chance, 2 * turn + 1)]
        skeletons.append(log.save({"step": turn, "messages": messages}, skeletons[-1] if skeletons else None))
    whole = len(log.load(skeletons[-1]))
    assert log.looks == 0
    assert log.size(skeletons) < 1.2 * whole
    assert max(len(codec.dumps(skeleton)) for skeleton in skeletons if size_of(skeleton) > WHOLE) < 200


def test_what_changes_in_many_places_costs_little_more() -> None:
    chance = random.Random(2)
    for change, most in (("window", 2.0), ("edits", 4.0), ("random", 6.0), ("parts", 2.5)):
        log, skeletons, text = Log(), list[Any](), 0
        messages = [message(chance, number) for number in range(150 if change == "random" else 2)]
        facts: dict[str, Any] = {}
        for turn in range(80):
            messages.append(message(chance, turn))
            match change:
                case "window":
                    messages = messages[-40:]
                case "edits":
                    at = chance.randrange(len(messages))
                    messages[at] = message(chance, -turn)
                    del messages[at // 2]
                case "random":
                    messages.pop()
                    messages[chance.randrange(150)] = message(chance, turn)
                case _:
                    facts[f"fact {turn}"] = {"n": turn}
            state = {"n": turn, "facts": facts, "agents": [{"name": "a", "messages": messages}, {"name": "b"}]}
            skeletons.append(log.save(state, skeletons[-1] if skeletons else None))
            text += len(codec.encode(messages[-1]))
        written = text + len(codec.encode(state))
        assert log.size(skeletons) < most * written, change


def test_a_large_result_of_a_tool_stays_one_item() -> None:
    """It would only make the skeleton longer, taken apart: most of it is one string."""
    log, base = Log(), None
    for turn in range(1, 30):
        results = [{"role": "tool", "content": f"{number}" + 20_000 * "x"} for number in range(turn)]
        base = log.save({"messages": results}, base)
    assert log.size([]) < 30 * 20_100
    assert len(codec.dumps(base)) < 200


def test_an_edit_in_a_large_element_costs_the_edit() -> None:
    log, base = Log(), None
    lines = [f"{number} {60 * 'x'}" for number in range(1_000)]
    for turn in range(20):
        lines[turn] = "changed"
        base = log.save({"files": [{"name": "a", "lines": lines}, {"name": "b"}]}, base)
    assert log.size([]) < 1.5 * len(codec.encode(lines))


def test_other_items_at_their_places_are_noticed() -> None:
    """As where a session of the same id was made anew, between the reading of a skeleton and that of its items."""
    one, other = Log(), Log()
    skeleton = one.save({"messages": [f"{number}" + 600 * "x" for number in range(5)]})
    other.save({"messages": [f"{number}" + 600 * "y" for number in range(5)]})
    assert ranges_of(skeleton) == [(0, 5)]
    with pytest.raises(Missing):
        other.load(skeleton)
    one.prune([])
    with pytest.raises(Missing):
        one.load(skeleton)


def test_what_is_too_long_is_refused_item_by_item() -> None:
    half = (codec.MAX_JSON_BYTES // 2) * "x"
    assert len(outline({"a": half, "list": [half, {"b": half, "c": half + "xx"}]}).gaps) == 4
    for state in ({"a": 2 * half}, {"list": ["a", {"b": "c", "d": half + half}]}):
        with pytest.raises(InvalidRecord) as caught:
            outline(state)
        assert caught.value.field == "state"
