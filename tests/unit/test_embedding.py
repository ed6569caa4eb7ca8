"""The demo's embeddings: texts about the same are near each other."""

from __future__ import annotations

import math

import pytest

from project.demo.embedding import DIMENSION, embed


def similarity(one: str, other: str) -> float:
    first, second = embed(one), embed(other)
    assert first
    assert second
    return sum((a * b for a, b in zip(first, second, strict=True)), start=0.0)


@pytest.mark.parametrize("text", ["lock", "Locks rows until the end of the transaction.", "wort " * 10_000, "naïve 42"])
def test_each_has_length_one(text: str) -> None:
    vector = embed(text)
    assert vector
    assert len(vector) == DIMENSION
    assert math.hypot(*vector) == pytest.approx(1)


@pytest.mark.parametrize("text", ["", "  \n", "the of and", "…?!", "日本"])
def test_a_text_without_words_has_none(text: str) -> None:
    assert embed(text) is None


def test_it_is_the_same_in_every_process_and_whatever_the_case() -> None:
    vector = embed("Hashing") or []
    assert embed("hashing!") == vector
    assert [place for place, number in enumerate(vector) if number] == [359]


def test_shared_words_and_phrases_bring_texts_together() -> None:
    text = "lock the selected rows of a table"
    assert similarity(text, text) == pytest.approx(1)
    assert similarity(text, "selected rows table") > similarity(text, "rows") > 0.2
    assert similarity(text, "lock selected rows") > similarity(text, "rows lock selected")
    assert abs(similarity(text, "time zones of dates")) < 0.1
