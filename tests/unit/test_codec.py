"""What may be stored, and that it comes back as it was."""

from __future__ import annotations

import enum
import json
from collections import OrderedDict
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chronos_storage import codec
from chronos_storage.exceptions import InvalidRecord

texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=20)
any_texts = st.text(st.sampled_from("ab\x00\ud800\udfff\ud83d\ude00é\U0001f642"), max_size=8)
numbers = st.integers(codec.MIN_INTEGER, codec.MAX_INTEGER) | st.floats(allow_nan=False, allow_infinity=False)


def json_of(strings, leaves):
    return st.recursive(
        leaves,
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(strings, inner, max_size=4),
        max_leaves=12,
    )


values = json_of(texts, st.none() | st.booleans() | numbers | texts)
#: Few leaves, close to each other, so that two values drawn are often the same or nearly so.
lookalikes = json_of(st.sampled_from("ab"), st.sampled_from([None, False, 0, 0.0, -0.0, 1, 1.0, True, "", "0", "1"]))


def unordered(value):
    """`value` with the keys of its objects sorted; `repr` then tells apart all that JSON tells apart."""
    if isinstance(value, dict):
        return {key: unordered(value[key]) for key in sorted(value)}
    if isinstance(value, list):
        return [unordered(item) for item in value]
    return value


def reversed_keys(value):
    if isinstance(value, dict):
        return {key: reversed_keys(value[key]) for key in reversed(value)}
    if isinstance(value, list):
        return [reversed_keys(item) for item in value]
    return value


def nested(depth, make=lambda inner: [inner]):
    value = make(0)
    for _ in range(depth - 1):
        value = make(value)
    return value


def refused(check, value):
    with pytest.raises(InvalidRecord) as caught:
        check(value, "payload")
    return caught.value.field


class TestJson:
    @given(values)
    def test_what_is_accepted_comes_back_equal_in_type_and_order(self, value):
        copy = codec.json_value(value, "payload")
        assert repr(copy) == repr(value)
        assert repr(codec.loads(codec.dumps(copy))) == repr(value)

    @given(values)
    def test_the_text_is_rfc_8259(self, value):
        def no_constant(name):
            raise AssertionError(f"{name} is not JSON")

        text = codec.dumps(value)
        assert text.encode().decode() == text
        assert repr(json.loads(text, parse_constant=no_constant)) == repr(value)

    @given(values)
    def test_the_text_is_the_standard_librarys(self, value):
        def text(**options):
            return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"), **options)

        assert codec.encode(value) == text()
        assert codec.canonical(value) == text(sort_keys=True)

    @given(values)
    def test_the_canonical_form_does_not_know_the_order_of_keys(self, value):
        assert codec.canonical(reversed_keys(value)) == codec.canonical(value)

    @given(lookalikes, lookalikes)
    def test_the_canonical_form_is_shared_by_equal_values_only(self, one, other):
        alike = codec.canonical(one) == codec.canonical(other)
        assert alike == (repr(unordered(one)) == repr(unordered(other)))

    @given(values, st.data())
    def test_one_wrong_thing_anywhere_inside_is_refused(self, value, data):
        wrong = data.draw(
            st.sampled_from(
                [
                    float("nan"),
                    float("inf"),
                    float("-inf"),
                    codec.MAX_INTEGER + 1,
                    codec.MIN_INTEGER - 1,
                    {1: "a"},
                    {None: "a"},
                    {True: "a"},
                    {"a\x00": 1},
                    {"\udc00": 1},
                    "a\x00b",
                    "\ud83d",
                    b"bytes",
                    ("a", "tuple"),
                    {"a set"},
                    Decimal("1.5"),
                    datetime(2026, 1, 1, tzinfo=UTC),
                    object(),
                ]
            )
        )
        wrapped = data.draw(st.sampled_from([wrong, [value, wrong], {"k": wrong}, {"a": [{"b": wrong}], "c": value}]))
        assert refused(codec.json_value, wrapped).startswith("payload")

    def test_the_error_names_the_path_inside_the_field(self):
        wrong = {"items": [{}, {}, {}, {"price": float("nan")}]}
        assert refused(codec.json_value, wrong) == "payload.items[3].price"

    @pytest.mark.parametrize("make", [lambda inner: [inner], lambda inner: {"k": inner}], ids=["lists", "objects"])
    def test_nesting_ends_at_a_hundred(self, make):
        deepest = nested(100, make)
        assert codec.loads(codec.dumps(codec.json_value(deepest, "payload"))) == deepest
        refused(codec.json_value, nested(101, make))

    def test_a_value_that_holds_itself_is_refused(self):
        ring = {}
        ring["again"] = [ring, ring]
        refused(codec.json_value, ring)

    def test_size_is_counted_in_bytes(self):
        quotes = 2
        fits = "é" * ((codec.MAX_JSON_BYTES - quotes) // 2)
        assert codec.loads(codec.dumps(fits, "payload")) == fits
        assert refused(codec.dumps, fits + "é") == "payload"
        assert refused(codec.dumps, {"key": fits}) == "payload"

    @given(values)
    def test_the_copy_shares_nothing_that_can_change(self, value):
        def containers(inside):
            if isinstance(inside, dict | list):
                yield inside
                for item in inside.values() if isinstance(inside, dict) else inside:
                    yield from containers(item)

        copy = codec.json_value(value, "payload")
        assert {id(item) for item in containers(value)}.isdisjoint(id(item) for item in containers(copy))

    def test_subclasses_become_the_plain_types(self):
        class Colour(enum.StrEnum):
            RED = "red"

        class Level(enum.IntEnum):
            HIGH = 3

        class Ratio(float):
            pass

        class Row(list):
            pass

        copy = codec.json_value(OrderedDict({Colour.RED: Row([Colour.RED, Level.HIGH, Ratio(0.5)])}), "payload")
        assert repr(copy) == "{'red': ['red', 3, 0.5]}"
        assert [type(item) for item in [copy, *copy, copy["red"], *copy["red"]]] == [dict, str, list, str, int, float]

    @pytest.mark.parametrize("wrong", [None, [], "text", 1], ids=repr)
    def test_an_object_is_a_dict(self, wrong):
        refused(codec.json_object, wrong)

    @pytest.mark.parametrize("wrong", [{}, "text", 1, ()], ids=repr)
    def test_a_list_is_a_list_or_none(self, wrong):
        refused(codec.json_list, wrong)
        assert codec.json_list_or_none(None, "payload") is None
        assert codec.json_list([], "payload") == []


class TestFilterable:
    @given(numbers)
    def test_refused_is_what_a_decimal_column_would_give_back_as_another_number(self, number):
        kept = Decimal(repr(number))
        kept = kept or abs(kept)  # zero has no sign there
        changed = repr(json.loads(format(kept, "f"))) != repr(number)
        if changed:
            assert refused(codec.filterable_object, {"a": [{"b": number}]}).startswith("payload")
        else:
            assert repr(codec.filterable_object({"a": number}, "payload")) == repr({"a": number})


class TestScrub:
    @given(json_of(any_texts, any_texts | st.none() | st.booleans() | numbers))
    def test_its_result_is_always_accepted(self, value):
        codec.json_value(codec.scrub(value), "payload")

    @given(values)
    def test_what_is_acceptable_stays_as_it_is(self, value):
        assert repr(codec.scrub(value)) == repr(value)

    def test_each_character_is_replaced_by_one(self):
        assert codec.scrub("a\x00b\ud800") == "a\N{REPLACEMENT CHARACTER}b\N{REPLACEMENT CHARACTER}"
        assert codec.scrub({"k\x00": ["\udfff"]}, "?") == {"k?": ["?"]}


class TestString:
    @given(any_texts)
    def test_accepted_is_what_utf_8_can_write_without_nul(self, text):
        try:
            clean = b"\x00" not in text.encode()
        except UnicodeEncodeError:
            clean = False
        if clean:
            assert codec.string(text, "payload") == text
        else:
            assert refused(codec.string, text) == "payload"

    @pytest.mark.parametrize("character", ["a", "é", "\U0001f642"])
    def test_length_is_counted_in_characters(self, character):
        assert codec.string(character * 255, "payload") == character * 255
        refused(codec.string, character * 256)

    @pytest.mark.parametrize("wrong", [None, 5, b"bytes", ["a"]], ids=repr)
    def test_nothing_else_turns_into_one(self, wrong):
        refused(codec.string, wrong)


class TestInteger:
    @pytest.mark.parametrize("right", [0, 1, codec.MAX_INTEGER])
    def test_what_sixty_four_bits_hold(self, right):
        assert codec.integer(right, "payload") == right

    @pytest.mark.parametrize("wrong", [-1, codec.MAX_INTEGER + 1, True, 1.0, "1", None], ids=repr)
    def test_nothing_else(self, wrong):
        assert refused(codec.integer, wrong) == "payload"


class TestTimestamp:
    offsets = st.timedeltas(timedelta(hours=-23, minutes=-59), timedelta(hours=23, minutes=59)).map(timezone)

    @given(st.datetimes(datetime(1000, 1, 3), datetime(9999, 12, 29), timezones=offsets))
    def test_any_zone_becomes_the_same_instant_in_utc(self, value):
        kept = codec.timestamp(value, "payload")
        assert kept == value
        assert kept.tzinfo is UTC

    @pytest.mark.parametrize("edge", [datetime(1000, 1, 1, tzinfo=UTC), datetime.max.replace(tzinfo=UTC)])
    def test_the_edges_are_kept(self, edge):
        assert codec.timestamp(edge, "payload") == edge

    @pytest.mark.parametrize(
        "wrong",
        [
            datetime(2026, 1, 1),
            datetime(999, 12, 31, 23, 59, 59, tzinfo=UTC),
            datetime(1000, 1, 1, tzinfo=timezone(timedelta(hours=1))),
            datetime.min.replace(tzinfo=timezone(timedelta(hours=1))),
            datetime.max.replace(tzinfo=timezone(timedelta(hours=-1))),
            datetime(2026, 1, 1).date(),
            "2026-01-01T00:00:00Z",
            1767225600,
        ],
        ids=repr,
    )
    def test_refused(self, wrong):
        assert refused(codec.timestamp, wrong) == "payload"


class TestLoads:
    """What is read, one or many at once, is what the standard library reads."""

    @given(st.lists(st.none() | st.recursive(st.none() | st.booleans() | st.text(), st.lists, max_leaves=8)))
    def test_many_are_read_as_each(self, values):
        texts = [None if value is None else codec.dumps(value) for value in values]
        assert codec.loads_each(texts) == [None if text is None else json.loads(text) for text in texts]

    @pytest.mark.parametrize("text", ["{}", "null", " {}\n", '\t{"a": [1, 2.50]} ', "1e5", '"x"', "[]", "-0.0"])
    def test_what_is_written_by_hand_is_read_too(self, text):
        expected = json.dumps(json.loads(text))
        assert json.dumps(codec.loads(text)) == expected
        assert json.dumps(codec.loads_each([text])) == f"[{expected}]"

    @pytest.mark.parametrize("text", ["", " ", "{} {}", "[1", "nul", "1 2"])
    def test_what_is_no_json_is_said_to_be(self, text):
        with pytest.raises(json.JSONDecodeError):
            codec.loads(text)
        with pytest.raises(json.JSONDecodeError):
            codec.loads_each([text])

    def test_what_is_empty_is_another_each_time(self):
        first, second = codec.loads_each(["{}", "{}"])
        assert first is not second
