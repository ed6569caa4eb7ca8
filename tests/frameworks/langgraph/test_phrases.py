"""What columns hold of the serializer's bytes."""

from __future__ import annotations

from random import Random

from langchain_core.messages import AIMessage
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer

from chronos_storage.integrations.langgraph.phrases import _MARKED, _PHRASES, expanded, shortened


def test_any_bytes_come_back_as_they_were_alone_and_together() -> None:
    random = Random(15)
    pieces = [
        *_PHRASES,
        *(mark for _, mark in _MARKED),
        b"\xc1",
        b"\0",
        b"\x01",
        b"\xb1",
        b"branch",
        *map(bytes, [[1, 2]]),
    ]
    contents = [
        b"".join(
            random.choice(pieces) if random.random() < 0.7 else random.randbytes(random.randrange(9))
            for _ in range(random.randrange(30))
        )
        for _ in range(2000)
    ]

    assert [expanded(shortened(content)) for content in contents] == contents
    assert expanded(b"".join(map(shortened, contents))) == b"".join(contents)
    assert not {phrase[0] for phrase in _PHRASES} & set(range(len(_PHRASES) + 1))


def test_a_short_message_takes_little_more_than_what_it_says() -> None:
    said = "It is done."
    _, content = JsonPlusSerializer().dumps_typed([AIMessage(said, id="1")])

    assert len(content) > 180
    assert len(shortened(content)) < len(said) + 30
