"""Any value made storable: what a store accepts stays as it is, and whatever else there is becomes acceptable."""

from __future__ import annotations

import collections
import dataclasses
import enum
import fractions
import math
import types
import uuid
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from pathlib import PurePosixPath
from unittest.mock import MagicMock

import numpy
import pytest
from django.utils.functional import SimpleLazyObject
from hypothesis import given, settings
from hypothesis import strategies as st

from chronos_storage import codec
from chronos_storage.codec import storable

from .test_codec import any_texts, json_of, nested, numbers, values


class Colour(enum.Enum):
    RED = "red"


class Level(enum.IntEnum):
    LOW = 1


class Text(str):
    __slots__ = ()


@dataclasses.dataclass
class Point:
    x: object
    y: object = 0


class Model:
    """What Pydantic's models are to whoever writes them."""

    def __init__(self, **fields):
        self.fields = fields

    def model_dump(self, *, exclude_unset=False):
        return self.fields


class Hostile:
    def __str__(self):
        raise RuntimeError("no")

    model_dump = __str__


class Endless(collections.abc.Mapping):
    """It ends nowhere, and each of its values is as endless."""

    def __getitem__(self, key):
        return self

    def __iter__(self):
        return map(str, iter(int, 1))

    def __len__(self):
        return 1


scalars = st.one_of(
    st.none() | st.booleans(),
    numbers
    | st.floats()
    | st.integers()
    | st.integers(10**600, 10**700)
    | st.decimals(allow_nan=False)
    | st.fractions(),
    any_texts | any_texts.map(Text) | st.binary(max_size=9) | st.binary(max_size=9).map(bytearray),
    st.datetimes() | st.dates() | st.times() | st.timedeltas() | st.uuids() | st.complex_numbers(),
    st.sampled_from([Colour.RED, Level.LOW, Hostile(), int, len, ValueError("a\x00"), object(), range(3)]),
)
hashables = scalars.filter(lambda value: not isinstance(value, bytearray))


def wrapped(inner):
    return st.one_of(
        st.lists(inner, max_size=4) | st.lists(inner, max_size=4).map(tuple) | st.frozensets(hashables, max_size=4),
        st.lists(inner, max_size=4).map(collections.deque),
        st.dictionaries(hashables, inner, max_size=4) | st.dictionaries(hashables, inner).map(types.MappingProxyType),
        st.dictionaries(any_texts, inner, max_size=4).map(lambda fields: Model(f=fields)),
        st.builds(Point, inner, inner) | inner.map(lambda value: nested(120, lambda item: [item] if item else [value])),
    )


anything = st.recursive(scalars, wrapped, max_leaves=8)


def accepted(value, *, limit=codec.MAX_JSON_BYTES):
    """The text that a store writes of this value, which it must accept."""
    return codec.dumps(codec.json_value(value, "value"), limit=limit)


def mended(value, **options):
    made = storable(value, **options)
    accepted(made.value)
    accepted(made.changes)
    return made


@given(values)
def test_what_a_store_accepts_is_kept_exactly(value):
    made = storable(value)
    assert repr(made.value) == repr(value)
    assert made.changes == {}


@given(values)
def test_what_is_acceptable_beside_what_is_not_is_kept_exactly(value):
    made = mended({"good": value, "bad": math.nan})
    assert repr(made.value) == repr({"good": value, "bad": "NaN"})
    assert list(made.changes) == ["bad"]


@given(anything)
def test_whatever_it_is_a_store_accepts_what_becomes_of_it(value):
    made = mended(value)
    assert repr(storable(made.value)) == repr(codec.Storable(made.value, {}))
    try:
        copy = codec.json_value(value, "value")
    except Exception:
        assert made.changes
    else:
        assert made.changes == {}
        assert repr(made.value) == repr(copy)


@settings(max_examples=50)
@given(st.dictionaries(any_texts, st.floats() | json_of(any_texts, st.floats())))
def test_what_is_to_be_filtered_by_comes_back_from_jsonb(value):
    made = storable(value, filterable=True)
    codec.filterable_object(made.value, "metadata")


@settings(max_examples=50)
@given(anything, st.integers(1_000, 3_000))
def test_it_fits_into_as_little_as_is_asked_for(value, limit):
    made = mended({"a": value, "call_id": "c", "b": [value] * 9, "long": "\x01é" * 900}, limit=limit)
    accepted(made.value, limit=limit)
    assert made.value["call_id"] == "c"


NAN = float("nan")
EXAMPLES = [
    ("a\x00b\ud800", "a\N{REPLACEMENT CHARACTER}b\N{REPLACEMENT CHARACTER}"),
    ("\ud83d\ude42!", "\U0001f642!"),
    ([NAN, math.inf, -math.inf], ["NaN", "Infinity", "-Infinity"]),
    (2**63, "9223372036854775808"),
    (16**5000, "0x1" + "0" * 5000),
    ((1, {2}), [1, [2]]),
    ({"b", "a", "c"}, ["a", "b", "c"]),
    (
        {1: "a", None: "b", 1.5: "c", True + 1: "d", ("x", 1): "e"},
        {"1": "a", "null": "b", "1.5": "c", "2": "d", '["x",1]': "e"},
    ),
    ({1: "number", "1": "text", "1 (2)": "as well"}, {"1 (3)": "number", "1": "text", "1 (2)": "as well"}),
    (b"\x00\xff", "data:application/octet-stream;base64,AP8="),
    (datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC), "2026-01-02T03:04:05+00:00"),
    (date(2026, 1, 2), "2026-01-02"),
    (time(1, 2), "01:02:00"),
    (timedelta(days=-1, microseconds=1_500_000), "-PT86398.5S"),
    (Decimal("1.10"), "1.10"),
    (fractions.Fraction(1, 3), "1/3"),
    (Colour.RED, "red"),
    ({Colour.RED: Level.LOW}, {"red": 1}),
    (Point(1, Point(2)), {"x": 1, "y": {"x": 2, "y": 0}}),
    (Model(when=date(2026, 1, 2)), {"when": "2026-01-02"}),
    (uuid.UUID(int=1), "00000000-0000-0000-0000-000000000001"),
    (PurePosixPath("/a/b"), "/a/b"),
    (numpy.arange(4, dtype="float32").reshape(2, 2), [[0.0, 1.0], [2.0, 3.0]]),
    ([numpy.float32(0.5), numpy.int64(7), numpy.bool_(True)], [0.5, 7, True]),
    (collections.UserString("text"), "text"),
    (ValueError("why"), "ValueError: why"),
    (Point, "tests.unit.test_storable.Point"),
    (Decimal("sNaN"), "sNaN"),
    (Hostile(), "<Hostile>"),
]


@pytest.mark.parametrize(("value", "kept"), EXAMPLES, ids=lambda value: type(value).__name__)
def test_what_becomes_of(value, kept):
    made = mended(value)
    assert repr(made.value) == repr(kept)
    assert made.changes


def test_an_object_is_written_the_same_by_every_process():
    assert mended(object()).value == "<object object>"


def test_a_change_is_told_with_its_path():
    made = mended({"parts": [{"text": "a\x00"}, NAN], 5: {"k\x00": 1}, "set": {b"x"}})
    assert made.changes == {
        "parts[0].text": "NUL characters or lone surrogates replaced",
        "parts[1]": "not a finite number: kept as text",
        "5": "its key can't be kept as it was",
        "5.k\N{REPLACEMENT CHARACTER}": "its key can't be kept as it was",
        "set[]": "bytes kept as text",
        "set": "set kept as list",
    }
    assert mended(NAN).changes == {"": "not a finite number: kept as text"}


def test_of_many_changes_a_hundred_are_told():
    made = mended([NAN] * 1_000)
    assert made.value == ["NaN"] * 1_000
    assert len(made.changes) == 101
    assert made.changes["…"] == "900 changes more"


def test_what_holds_itself():
    value = {"a": [1]}
    value["a"].append(value)
    made = mended(value)
    assert made.value == {"a": [1, "[cycle]"]}
    assert made.changes == {"a[1]": "holds itself"}


def test_what_stands_in_several_places_is_no_cycle():
    shared = [b""]
    assert mended([shared, shared]).value[0] == mended(shared).value


@pytest.mark.parametrize("depth", [101, 150, 5_000])
def test_what_is_nested_too_deep_is_kept_as_text(depth):
    made = mended(nested(depth, lambda inner: {"in": inner}))
    text = made.value
    while isinstance(text, dict):
        text = text["in"]
    if depth <= 200:
        assert codec.loads(text) == nested(depth - 100, lambda inner: {"in": inner})
    assert "nested" in " ".join(made.changes.values())


def test_of_what_is_too_large_the_longest_texts_are_shortened():
    item = {"output": "x" * 4_500_000, "call_id": "c", "note": "n" * 1_000, "parts": ["é" * 2_500_000]}
    made = mended(item)
    assert made.value["call_id"] == "c"
    assert made.value["note"] == item["note"]
    assert len(accepted(made.value).encode()) > 0.99 * codec.MAX_JSON_BYTES
    for path, kept in (("output", made.value["output"]), ("parts[0]", made.value["parts"][0])):
        assert made.changes[path].startswith("too large: ")
        assert kept.endswith(" characters left out]")
    text = storable('"' * 5_000_000).value
    assert text.startswith('"' * 2_000_000)


def test_of_too_many_items_the_first_are_kept():
    made = mended(list(range(5_000)), limit=10_000)
    assert made.value == list(range(len(made.value)))
    assert len(accepted(made.value)) > 9_900
    assert made.changes == {"": f"too large: the last {5_000 - len(made.value):,} of 5,000 items left out"}
    many = {f"k{number}": "é" * 500 for number in range(100)}
    assert list(mended(many, limit=10_000).value) == list(many)[:74]


def test_what_has_no_end_has_one_when_it_is_kept():
    huge: list[object] = [0] * 10
    for _ in range(9):
        huge = [huge] * 10
    for endless in (range(10**15), Endless(), (huge,), ["x" * 10_000] * 10**6):
        assert mended(endless, limit=10_000).changes


def test_the_value_given_is_not_changed():
    value = {"a": (1, NAN), "b": ["x" * 4_000]}
    before = repr(value)
    mended(value, limit=1_000)
    assert repr(value) == before


def test_what_has_every_method_or_stands_for_nothing_becomes_a_text() -> None:
    proxy = SimpleLazyObject(lambda: 1 // 0)
    kept = storable([MagicMock(name="model"), proxy])
    assert kept.value[0].startswith("<MagicMock")
    assert kept.value[1] == "<SimpleLazyObject>"
    assert kept.changes.keys() == {"[0]", "[1]"}
