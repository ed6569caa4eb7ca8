"""Summaries: messages that stand for others."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from operator import itemgetter
from typing import Any

from ..records import Message


def standing(messages: Sequence[Message]) -> Sequence[Message]:
    """The messages that are to be read: what a summary covers is left out, and the summary stands in its place.

    Args:
        messages: a session's, by number.
    """
    summaries = [(message, *span) for message in messages if message.metadata and (span := _span_of(message))]
    if not summaries:
        return messages
    kept: list[tuple[int, int, Message]] = []
    spans: list[tuple[int, int]] = []
    for message, first, last in reversed(summaries):
        # One that a later one covers is in it, and so is what it stood for itself.
        if not _within(message.seq_num, spans):
            kept.append((first, message.seq_num, message))
        spans = _joined([*spans, (first, last)])
    numbers = {message.seq_num for message, _, _ in summaries}
    kept += [
        (message.seq_num, message.seq_num, message)
        for message in messages
        if message.seq_num not in numbers and not _within(message.seq_num, spans)
    ]
    return [message for _, _, message in sorted(kept, key=itemgetter(0, 1))]


def _span_of(message: Message) -> tuple[int, int] | None:
    """The first and the last number that a message stands for; None if it is no summary."""
    numbers: Any = message.metadata.get("summary_of")
    if message.role != "system" or not isinstance(numbers, list) or [type(each) for each in numbers] != [int, int]:
        return None
    first, last = numbers[0], min(numbers[1], message.seq_num - 1)
    return (first, last) if first <= last else None


def _joined(spans: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """The same numbers in spans that lie apart, in order."""
    joined: list[tuple[int, int]] = []
    for first, last in sorted(spans):
        if joined and first <= joined[-1][1] + 1:
            first, last = joined[-1][0], max(last, joined.pop()[1])
        joined.append((first, last))
    return joined


def _within(number: int, spans: list[tuple[int, int]]) -> bool:
    place = bisect_right(spans, number, key=itemgetter(0))
    return place > 0 and number <= spans[place - 1][1]
