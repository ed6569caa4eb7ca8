"""Steps that are done once; the conformance suite has what every backend must do with them."""

from __future__ import annotations

from chronos_storage import connect


def test_a_result_that_is_too_large_is_shortened() -> None:
    with connect("memory://", migrate=True).session("s") as session:
        kept = session.once("k", lambda: {"id": 7, "text": "\N{GREEK SMALL LETTER ALPHA}" * 2_100_000})
        assert (kept["id"], 1_900_000 < len(kept["text"]) < 2_100_000) == (7, True)
        assert session.once("k", interrupted) == kept


def interrupted() -> None:
    raise KeyboardInterrupt
