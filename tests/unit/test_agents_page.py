"""The example of docs/agents.md does what the page says."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from chronos_storage import connect

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "agents.md").read_text(encoding="utf-8")


def test_the_examples(capsys: pytest.CaptureFixture[str]) -> None:
    first, second = re.findall(r"^```python\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
    names: dict[str, Any] = {"find_charge": lambda order, since: {"receipt": "of the bank"}}
    exec(first, names)
    assert capsys.readouterr().out == "charged 9.5\n"
    storage = names["storage"]
    assert [message.role for message in storage.list_messages("chat")] == ["user", "assistant"] * 2
    assert [len(root.children) for root in storage.trace_tree("chat")] == [2, 2]
    assert [event.type for event in storage.list_events("chat")] == ["step_begun", "step_done"]

    with storage.session("other") as session, pytest.raises(KeyboardInterrupt):
        session.once("charge order 7", interrupted)
    exec(second.replace('"chat"', '"other"'), names)
    assert capsys.readouterr().out == ""
    assert storage.list_events("other")[-1].payload["result"] == {"receipt": "of the bank"}


def test_a_result_that_is_too_large_is_shortened() -> None:
    with connect("memory://", migrate=True).session("s") as session:
        kept = session.once("k", lambda: {"id": 7, "text": "\N{GREEK SMALL LETTER ALPHA}" * 2_100_000})
        assert (kept["id"], 1_900_000 < len(kept["text"]) < 2_100_000) == (7, True)
        assert session.once("k", interrupted) == kept


def interrupted() -> None:
    raise KeyboardInterrupt
