"""Identifiers that sort by the time they were made."""

from __future__ import annotations

import importlib.util
import itertools
import time
import uuid
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chronos_storage import codec, ids
from chronos_storage.exceptions import InvalidRecord

MILLISECOND = 1_000_000
NOW = 1_767_225_600_123_456_789  # 2026-01-01, in nanoseconds


@pytest.fixture
def make():
    """Gives `uuid7` of a fresh copy of the module, as a process that has just begun has it."""

    def fresh():
        spec = importlib.util.find_spec("chronos_storage.ids")
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module.uuid7

    return fresh


def increasing(values):
    return all(earlier < later for earlier, later in itertools.pairwise(values))


def test_version_and_variant():
    made = ids.uuid7()
    assert made.version == 7
    assert made.variant == uuid.RFC_4122


def test_the_text_is_a_uuid_in_its_usual_form():
    text = ids.new_id()
    assert str(uuid.UUID(text)) == text
    assert uuid.UUID(text).version == 7


def test_it_holds_the_current_time():
    before = time.time_ns() // MILLISECOND
    made = ids.uuid7()
    after = time.time_ns() // MILLISECOND
    assert before <= made.int >> 80 <= after + 1


def test_each_is_greater_than_the_one_before_as_number_and_as_text():
    made = [ids.uuid7() for _ in range(20_000)]
    assert increasing(made)
    assert increasing([str(one) for one in made])


def test_threads_get_increasing_ids_that_never_repeat():
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda _: [ids.uuid7() for _ in range(3_000)], range(8)))
    assert all(increasing(of_one_thread) for of_one_thread in made)
    assert len(set(itertools.chain(*made))) == 8 * 3_000


def test_one_made_in_another_thread_afterwards_is_greater():
    with ThreadPoolExecutor(1) as pool:
        made = [one for _ in range(500) for one in (ids.uuid7(), pool.submit(ids.uuid7).result())]
    assert increasing(made)


def test_the_fraction_of_the_millisecond_is_in_it(monkeypatch, make):
    monkeypatch.setattr(time, "time_ns", lambda: NOW)
    made = make()()
    assert made.int >> 80 == NOW // MILLISECOND
    assert made.int >> 64 & 0xFFF == 456_789 * 4096 // MILLISECOND


@pytest.mark.parametrize("step", [0, -1, -MILLISECOND, -3600 * 1000 * MILLISECOND], ids="back {}ns".format)
def test_a_clock_that_stands_still_or_goes_back_repeats_nothing(monkeypatch, make, step):
    readings = itertools.count(NOW, step)
    monkeypatch.setattr(time, "time_ns", lambda: next(readings))
    uuid7 = make()
    made = [uuid7() for _ in range(10_000)]  # more than a millisecond's 4,096 fractions
    assert increasing(made)
    assert all(one.version == 7 and one.variant == uuid.RFC_4122 for one in made)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.integers(0, 2**47 * MILLISECOND), min_size=1, max_size=50))
def test_whatever_the_clock_does_ids_increase_and_never_lag_behind_it(make, readings):
    uuid7 = make()
    with pytest.MonkeyPatch.context() as patch:
        made = []
        for reading in readings:
            patch.setattr(time, "time_ns", lambda reading=reading: reading)
            made.append(uuid7())
    assert increasing(made)
    newest = list(itertools.accumulate(readings, max))
    assert all(
        reading // MILLISECOND <= one.int >> 80 <= reading // MILLISECOND + 1
        for one, reading in zip(made, newest, strict=True)
    )


def test_the_random_part_differs(monkeypatch, make):
    monkeypatch.setattr(time, "time_ns", lambda: NOW)
    assert len({make()().int & (1 << 62) - 1 for _ in range(100)}) == 100


texts = st.text(st.sampled_from("ab~%\x00\ud800é7E:/"), max_size=4)
composites = st.lists(texts | st.sampled_from(["a" * 254, "a" * 300, "%~" * 90]), min_size=1, max_size=4).map(tuple)


class TestCompositeId:
    @given(composites.filter(any), composites.filter(any))
    def test_other_parts_give_another_id(self, parts, others):
        made = ids.composite_id(*parts)
        assert codec.string(made, "id") == made != ""
        assert (ids.composite_id(*others) == made) == (others == parts)

    def test_it_reads_as_its_parts(self):
        assert ids.composite_id("app", "user:1", "") == "app~user:1~"
        assert ids.composite_id("a~b", "100%", "\x00\ud800") == "a%7Eb~100%25~%00%ED%A0%80"

    def test_a_long_one_begins_as_its_parts_do(self):
        made = ids.composite_id("app", "x" * 252)
        assert len(made) == 255
        assert made.startswith("app~xxx")
        assert len(ids.composite_id("app", "x" * 251)) == 255
        # What it becomes is nobody else's: not even of who is called by it.
        assert ids.composite_id(made) != made

    @pytest.mark.parametrize("parts", [(), ("",), (1, "a"), (None,), b"bytes".split()])
    def test_refused(self, parts):
        with pytest.raises(InvalidRecord) as caught:
            ids.composite_id(*parts)
        assert caught.value.field == "parts"
