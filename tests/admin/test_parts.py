"""What pages are made of, without a database: differences, families, charts, durations."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import Any

import pytest

from chronos_storage.admin.charts import HEIGHT, stacked
from chronos_storage.admin.columns import column, label
from chronos_storage.admin.differences import MOST, differences
from chronos_storage.admin.families import forest
from chronos_storage.admin.previews import readable
from chronos_storage.models import Image
from chronos_storage.templatetags.chronos_storage import duration, grouped


def compared(before: Any, after: Any) -> list[tuple[str, str, str, str]]:
    found, _ = differences(before, after)
    return [(each.path, each.kind, each.before, each.after) for each in found]


def test_differences_are_named_by_their_place() -> None:
    before = {"a": 1, "gone": None, "list": [1, {"x": 1}, 3], "same": {"deep": [1]}}
    after = {"a": 1.0, "list": [1, {"x": "1"}, 2, 3], "same": {"deep": [1]}, "new": "two\nlines"}
    assert compared(before, after) == [
        ("a", "changed", "1", "1.0"),
        ("gone", "removed", "null", ""),
        ("list[1].x", "changed", "1", '"1"'),
        ("list[2]", "added", "", "2"),
        ("new", "added", "", "two\nlines"),
    ]
    assert compared({"a": [1, 2]}, {"a": [2]}) == [("a[0]", "removed", "1", "")]
    assert compared({"a": True}, {"a": 1}) == [("a", "changed", "true", "1")]
    assert compared({"a": []}, {"a": {}}) == [("a", "changed", "[]", "{}")]
    assert compared("text", {}) == [("", "changed", '"text"', "{}")]
    assert compared(before, before) == []


def test_differences_are_not_endless() -> None:
    found, more = differences({}, {str(number): number for number in range(1000)})
    assert (len(found), more) == (MOST, True)
    [long], _ = differences({"a": 1}, {"a": "x" * 1_000_000})
    assert len(long.after) < 3000


def test_long_texts_are_compared_word_by_word() -> None:
    def pieces(before: str, after: str) -> list[tuple[str, str]]:
        [found], _ = differences({"text": before}, {"text": after})
        assert (found.before, found.after) == ("", "")
        return [(piece.kind, piece.text) for piece in found.pieces]

    start, end = "At the start it is all the same. " * 3, " And so it is at the end, of course." * 3
    assert pieces(f"{start}The fox jumps over it.{end}", f"{start}The dog jumps across it.{end}") == [
        ("same", "…" + f"{start}The "[-80:]),
        *(("removed", "fox"), ("added", "dog"), ("same", " jumps "), ("removed", "over"), ("added", "across")),
        ("same", f" it.{end}"[:80] + "…"),
    ]
    # Words stay whole, and what is the same at both ends is counted once.
    assert pieces("a " * 40 + "started", "a " * 40 + "starting")[1:] == [("removed", "started"), ("added", "starting")]
    assert pieces("ab" * 40, "ab" * 41) == [("removed", "ab" * 40), ("added", "ab" * 41)]
    assert pieces("x " * 40, "x " * 41)[-1] == ("added", "x ")
    assert pieces("n " * 40 + "\u202e", "n " * 41)[-2] == ("removed", "⟨U+202E⟩")
    [short], _ = differences({"text": "fox"}, {"text": "dog"})
    assert (short.before, short.after, short.pieces) == ('"fox"', '"dog"', [])


def test_long_texts_that_have_little_in_common_cost_little() -> None:
    texts = [" ".join(str(number * step) for number in range(200_000)) for step in (3, 7)]
    begin = time.process_time()
    [found], _ = differences({"text": texts[0]}, {"text": texts[1]})
    assert sum(len(piece.text) for piece in found.pieces) < 5000
    words = [{str(n): f"{n} " * 300 + f"{(n * step) % 97} " * 300 for n in range(200)} for step in (3, 7)]
    assert len(differences(*words)[0]) > 100
    assert time.process_time() - begin < 5


def test_a_family_of_images_is_a_tree_even_where_it_is_a_ring() -> None:
    def tree(**parents: str) -> list[tuple[str, int]]:
        images = [Image(id=id, parent_image_id=parent) for id, parent in parents.items()]
        return [(member.image.pk, member.depth) for member in forest(images)]

    assert tree(a="", b="a", c="b", d="a", e="elsewhere") == [("a", 0), ("b", 1), ("c", 2), ("d", 1), ("e", 0)]
    assert tree(a="b", b="a", c="c") == [("a", 0), ("b", 1), ("c", 0)]
    assert len(tree(**{f"i{n}": f"i{n - 1}" for n in range(3000)})) == 3000


def test_a_chart_stands_on_its_ground() -> None:
    chart = stacked(["one", "two"], ["Monday", "Tuesday"], [[10, 30], [0, 0]])
    lower, upper = chart.boxes
    assert lower.y + lower.height == HEIGHT
    assert upper.y + upper.height == lower.y
    assert upper.height == 3 * lower.height
    assert chart.grid[-1] == ("40", 0.0)
    many = stacked(["one"], ["Monday"], [[6_150_000]])
    assert [text for text, _ in many.grid] == ["0", "3.1M", "6.2M"]
    assert lower.title == "Monday, one: 10"
    assert stacked([], [], []).boxes == []


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 µs"),
        (0.0005, "500 µs"),
        (0.0125, "12.5 ms"),
        (0.9999, "1 s"),
        (1.25, "1.25 s"),
        (59.99, "60 s"),
        (61, "1 min 1 s"),
        (3600, "1 h 0 min"),
        (90000, "1 day 1 h"),
        (200000, "2 days 7 h"),
    ],
)
def test_durations_are_said_in_short(seconds: float, text: str) -> None:
    assert duration(timedelta(seconds=seconds)) == text


def test_numbers_and_texts() -> None:
    assert grouped(1234567) == "1\u202f234\u202f567"
    assert readable('{"a":[1]}') == '{\n  "a": [\n    1\n  ]\n}'
    assert readable('"a\\nb"') == "a\nb"
    assert readable("no json") == "no json"
    assert readable('"cut off \\ud8', complete=False) == "cut off "
    assert readable('{"cut": "of', complete=False) == '{"cut": "of'
    assert readable("[" * 100_000) == "[" * 100_000


def test_a_field_is_called_as_translators_know_it_or_by_its_name() -> None:
    assert (str(label("agent_id")), label("eye_colour")) == ("agent", "eye colour")
    shown: Any = column(Image, "system_prompt")
    assert shown.short_description == "system prompt"
