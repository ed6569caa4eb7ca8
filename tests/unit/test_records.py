"""The records: checked copies, and what counts as the same content."""

from __future__ import annotations

import copy
import dataclasses
import json
import pickle
import uuid
from array import array
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal, localcontext

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chronos_storage import codec, exceptions, records
from chronos_storage.exceptions import AlreadyExists, InvalidRecord, SequenceConflict
from chronos_storage.records import (
    KINDS,
    Event,
    Message,
    RecordEncoder,
    SearchResult,
    Session,
    TokenUsage,
    Trace,
    TraceNode,
    require_same,
)
from chronos_storage.testing.conformance.helpers import case
from chronos_storage.testing.conformance.samples import full

MOMENT = datetime(2026, 1, 1, 12, 30, 15, 123456, tzinfo=UTC)
LONG_TEXTS = {"title", "error", "description", "system_prompt"}
FIELDS = [(kind, field.name) for kind, record in records.KINDS.items() for field in dataclasses.fields(record)]


def sample(kind):
    """A record of that kind in which every field that holds something by default, or must, holds something."""
    return records.KINDS[kind](**{"message": {"role": "user"}, "artifact": {"name": "n"}}.get(kind, {}))


def of_type(*defaults):
    return [
        pytest.param(kind, name, id=f"{kind}.{name}")
        for kind, name in FIELDS
        if any(type(getattr(sample(kind), name)) is type(default) for default in defaults)
    ]


def timestamps():
    return [pytest.param(kind, name, id=f"{kind}.{name}") for kind, name in FIELDS if name.endswith("_at")]


def refused(record):
    with pytest.raises(InvalidRecord) as caught:
        record.cleaned()
    return caught.value.field


class TestCleaned:
    @pytest.mark.parametrize("kind", records.KINDS)
    def test_an_empty_record_is_fine(self, kind):
        assert type(sample(kind).cleaned()) is records.KINDS[kind]

    @pytest.mark.parametrize(("kind", "name"), of_type(""))
    def test_a_string_that_cannot_be_kept_is_refused_by_name(self, kind, name):
        for wrong in ("a\x00", "\ud800", None, 5, b"x"):
            with case(wrong):
                assert refused(dataclasses.replace(sample(kind), **{name: wrong})) == name

    @pytest.mark.parametrize(("kind", "name"), of_type(""))
    def test_the_limit_of_a_string(self, kind, name):
        if (kind, name) in (("trace", "status"), ("artifact", "sha256")) or name == "erased":
            return  # it is one of few words, or so many digits
        limit = codec.MAX_TEXT if name in LONG_TEXTS else codec.MAX_INDEXED
        longest = dataclasses.replace(sample(kind), **{name: "é" * limit})
        assert getattr(longest.cleaned(), name) == "é" * limit
        assert refused(dataclasses.replace(longest, **{name: "é" * (limit + 1)})) == name

    @pytest.mark.parametrize(("kind", "name"), timestamps())
    def test_a_time_that_is_not_an_aware_datetime_is_refused_by_name(self, kind, name):
        for wrong in (datetime(2026, 1, 1), MOMENT.isoformat(), MOMENT.date(), 0):
            with case(wrong):
                assert refused(dataclasses.replace(sample(kind), **{name: wrong})) == name

    @pytest.mark.parametrize(("kind", "name"), timestamps())
    def test_a_time_of_another_zone_becomes_utc(self, kind, name):
        elsewhere = MOMENT.astimezone(timezone(timedelta(hours=-7)))
        kept = getattr(dataclasses.replace(sample(kind), **{name: elsewhere}).cleaned(), name)
        assert (kept, kept.tzinfo) == (MOMENT, UTC)

    @pytest.mark.parametrize(("kind", "name"), of_type({}))
    def test_an_object_that_cannot_be_kept_is_refused_by_name(self, kind, name):
        for wrong in (None, [], "{}", {1: 1}, {"k": float("nan")}, {"k": 2**63}):
            with case(wrong):
                assert refused(dataclasses.replace(sample(kind), **{name: wrong})).split(".")[0] == name

    @pytest.mark.parametrize("name", ["metadata", "attributes", "resource"])
    def test_a_number_that_could_not_be_filtered_by_is_refused_in_a_filterable_field_only(self, name):
        record = Session(metadata={"n": 1e23}) if name == "metadata" else Trace(**{name: {"n": 1e23}})
        assert refused(record) == f"{name}.n"
        assert Event(payload={"n": 1e23}).cleaned().payload == {"n": 1e23}

    @pytest.mark.parametrize(("kind", "name"), of_type(0))
    def test_a_number_that_is_none_is_refused_by_name(self, kind, name):
        for wrong in (-1, 2**63, True, 1.0, "1", None):
            with case(wrong):
                assert refused(dataclasses.replace(sample(kind), **{name: wrong})) == name

    @pytest.mark.parametrize(("kind", "name"), of_type({}))
    def test_the_copy_shares_nothing_with_the_original(self, kind, name):
        given_ = dataclasses.replace(sample(kind), **{name: {"list": [1, {"a": 1}]}})
        before = copy.deepcopy(given_)
        copied = getattr(given_.cleaned(), name)
        assert copied == getattr(before, name)
        copied["list"][1]["a"] = 2
        assert given_ == before

    def test_checking_changes_nothing_in_the_original(self):
        given_ = Message(role="tool", kind="tool_result", usage=TokenUsage(), created_at=MOMENT)
        before = copy.deepcopy(given_)
        given_.cleaned()
        assert given_ == before


class TestComplete:
    @pytest.mark.parametrize("kind", records.KINDS)
    def test_what_was_left_empty_is_filled_in(self, kind):
        before = records.now()
        record = sample(kind)
        record.complete()
        assert uuid.UUID(record.id).version == 7
        for field in dataclasses.fields(record):
            value = getattr(record, field.name)
            if field.name in ("created_at", "updated_at", "last_activity_at", "started_at"):
                assert before <= value <= records.now()
            elif field.name in ("deleted_at", "expires_at", "ended_at"):
                assert value is None

    @pytest.mark.parametrize(("kind", "name"), timestamps())
    def test_what_was_given_stays(self, kind, name):
        record = dataclasses.replace(sample(kind), id="given", **{name: MOMENT})
        record.complete()
        assert (record.id, getattr(record, name)) == ("given", MOMENT)

    def test_a_session_begins_when_it_was_made(self):
        session = Session(created_at=MOMENT)
        session.complete()
        assert session.updated_at == session.last_activity_at == MOMENT

    def test_touched_is_now(self):
        before = records.now()
        session = Session(created_at=MOMENT, updated_at=MOMENT)
        session.complete(touch=True)
        assert session.created_at == MOMENT
        assert session.updated_at >= before


class TestTrace:
    @pytest.mark.parametrize(
        ("fields", "status"),
        [
            ({}, "unset"),
            ({"error": "it failed"}, "error"),
            ({"error": "it failed", "status": "ok"}, "ok"),
            ({"error": "it failed", "status": "unset"}, "unset"),
            ({"status": "error"}, "error"),
        ],
        ids=str,
    )
    def test_the_status(self, fields, status):
        trace = Trace(**fields).cleaned()
        trace.complete()
        assert trace.status == status

    @pytest.mark.parametrize(
        ("cost", "kept"),
        [
            (Decimal("0.002100"), "0.0021"),
            (Decimal("1E+2"), "100"),
            (Decimal("-0.00"), "0"),
            (Decimal("0E-999999999999"), "0"),
            (Decimal("1E-9"), "0.000000001"),
            (Decimal("123456.789012345"), "123456.789012345"),
            (999_999, "999999"),
        ],
        ids=str,
    )
    def test_equal_costs_are_written_alike(self, cost, kept):
        with localcontext(prec=3):
            assert f"{Trace(cost=cost).cleaned().cost:f}" == kept

    @pytest.mark.parametrize(
        "cost",
        [
            *(Decimal(text) for text in ("-1", "999999.000000001", "1E-10", "0.1234567891", "1E-999999999999")),
            *(Decimal(text) for text in ("NaN", "sNaN", "Infinity", "1E+999999")),
            *(0.5, True, "1", {}),
        ],
        ids=str,
    )
    def test_a_cost_that_is_none_is_refused(self, cost):
        assert refused(Trace(cost=cost)) == "cost"

    @pytest.mark.parametrize("wrong", ["OK", "failed", "é" * 255], ids=["case", "another", "long"])
    def test_another_status_is_refused(self, wrong):
        assert refused(Trace(status=wrong)) == "status"

    @pytest.mark.parametrize("name", ["events", "links"])
    def test_what_must_be_a_list(self, name):
        for wrong in (None, {}, "text", ()):
            with case(wrong):
                assert refused(Trace(**{name: wrong})) == name


class TestMessage:
    @pytest.mark.parametrize(
        ("role", "kind", "kept"),
        [
            ("user", "", "user"),
            ("assistant", "", "assistant"),
            ("error", "", "error"),
            ("tool", "", "tool-result"),
            ("developer", "", "developer"),
            ("assistant", "tool_call", "tool-call"),
            ("assistant", "tool-call", "tool-call"),
            ("tool", "tool_result", "tool-result"),
            ("assistant", "thought", "thought"),
        ],
    )
    def test_the_kind(self, role, kind, kept):
        message = Message(role=role, kind=kind).cleaned()
        message.complete()
        assert message.kind == kept

    def test_somebody_speaks(self):
        assert refused(Message(content="hello")) == "role"

    @pytest.mark.parametrize("content", [None, "", "text", [], [{"type": "text"}], {}, {"a": 1}], ids=repr)
    def test_content_is_text_parts_an_object_or_nothing(self, content):
        assert repr(Message(role="user", content=content).cleaned().content) == repr(content)

    @pytest.mark.parametrize("content", [0, 1.5, True], ids=repr)
    def test_content_is_nothing_else(self, content):
        assert refused(Message(role="user", content=content)) == "content"

    def test_a_wrong_usage_is_named_with_its_part(self):
        assert refused(Message(role="user", usage=TokenUsage(prompt_tokens=-1))) == "usage.prompt_tokens"
        assert refused(Message(role="user", usage={"prompt_tokens": 1})) == "usage"

    def test_not_reported_is_not_zero(self):
        kept = Message(role="user", usage=TokenUsage(prompt_tokens=0)).cleaned().usage
        assert kept == TokenUsage(prompt_tokens=0)
        assert kept.total_tokens is None
        assert Message(role="user", usage=TokenUsage()).cleaned().usage is None


class TestSame:
    """`require_same`: whether a record written again under an id is what is stored under it."""

    full = Event(
        id="e",
        session_id="s",
        seq_num=3,
        hash="f" * 64,
        type="t",
        payload={"a": 1, "b": [1, None]},
        schema="p",
        schema_version=2,
        created_at=MOMENT,
    )

    @given(st.sets(st.sampled_from(["session_id", "type", "payload", "schema", "schema_version", "created_at"])))
    def test_what_is_left_empty_does_not_count(self, left_out):
        given_ = dataclasses.replace(self.full, **{name: getattr(Event(), name) for name in left_out})
        assert require_same(given_, self.full) is self.full

    @pytest.mark.parametrize("changes", [{"seq_num": 9}, {"hash": "0" * 64}], ids=str)
    def test_what_the_store_gives_does_not_count(self, changes):
        assert require_same(dataclasses.replace(self.full, **changes), self.full) is self.full

    def test_the_order_of_keys_does_not_count(self):
        given_ = dataclasses.replace(self.full, payload={"b": [1, None], "a": 1})
        assert require_same(given_, self.full) is self.full

    def test_the_zone_of_a_time_does_not_count(self):
        elsewhere = MOMENT.astimezone(timezone(timedelta(hours=9)))
        given_ = dataclasses.replace(self.full, created_at=elsewhere).cleaned()
        assert require_same(given_, self.full) is self.full

    @pytest.mark.parametrize(
        "changes",
        [
            {"type": "T"},
            {"payload": {"a": 1}},
            {"payload": {"a": 1.0, "b": [1, None]}},
            {"payload": {"a": True, "b": [1, None]}},
            {"payload": [1]},
            {"payload": 0},
            {"payload": False},
            {"payload": []},
            {"schema": "q"},
            {"schema_version": 1},
            {"created_at": MOMENT + timedelta(microseconds=1)},
        ],
        ids=str,
    )
    def test_anything_else_counts_and_is_named(self, changes):
        with pytest.raises(AlreadyExists, match=next(iter(changes))):
            require_same(dataclasses.replace(self.full, **changes), self.full)

    @given(
        *[st.sampled_from([0, 0.0, -0.0, 1, 1.0, True, False, "0", "1", [], [0], [0.0], {"a": 1}, {"a": 1.0}])] * 2,
    )
    def test_values_are_the_same_where_their_canonical_forms_are(self, one, other):
        given_, stored = (dataclasses.replace(self.full, payload=payload) for payload in (one, other))
        if codec.canonical(one) == codec.canonical(other):
            assert require_same(given_, stored) is stored
        else:
            with pytest.raises(AlreadyExists):
                require_same(given_, stored)


class TestErrors:
    def test_without_words_of_its_own_an_error_says_what_its_class_means(self):
        assert str(exceptions.AppendOnlyError()) == exceptions.AppendOnlyError.__doc__

    @pytest.mark.parametrize("error", [InvalidRecord("payload", "is odd"), SequenceConflict(2, 5)], ids=repr)
    def test_an_error_survives_pickling(self, error):
        again = pickle.loads(pickle.dumps(error))
        assert (type(again), vars(again), str(again)) == (type(error), vars(error), str(error))

    @pytest.mark.parametrize(
        ("error", "builtin"),
        [
            (exceptions.InvalidRecord("f", "p"), ValueError),
            (exceptions.NotFound(), LookupError),
            (exceptions.NotSupported(), NotImplementedError),
        ],
        ids=repr,
    )
    def test_errors_are_also_what_python_calls_them(self, error, builtin):
        assert isinstance(error, builtin)
        assert isinstance(error, exceptions.ChronosError)


class TestRecordEncoder:
    @pytest.mark.parametrize("kind", KINDS)
    def test_a_record_comes_back_from_its_json(self, kind):
        record = full(kind).cleaned()
        fields = json.loads(json.dumps(record, cls=RecordEncoder))
        assert [*fields] == [field.name for field in dataclasses.fields(record)]
        for name, value in fields.items():
            given = getattr(record, name)
            if isinstance(given, datetime):
                value = datetime.fromisoformat(value)
            elif isinstance(given, TokenUsage):
                value = TokenUsage(**value)
            elif isinstance(given, Decimal):
                value = Decimal(value)
            assert value == given

    def test_what_is_found(self):
        result = SearchResult(id="a", vector=array("f", [0.5, 1]), score=0.25)
        assert json.loads(json.dumps([result], cls=RecordEncoder))[0]["vector"] == [0.5, 1.0]
        assert json.loads(json.dumps(TraceNode(trace=Trace(id="t")), cls=RecordEncoder))["trace"]["id"] == "t"

    def test_anything_else_is_refused(self):
        with pytest.raises(TypeError, match="object"):
            json.dumps(object(), cls=RecordEncoder)
