"""What is no such argument is refused by its name, in every method of the interface and alike on every backend."""

from __future__ import annotations

import inspect
import io
from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from ... import records
from ...chains.permit import PurgePermit
from ...exceptions import InvalidRecord
from ...facade import Storage
from .helpers import Unasked, case, cases
from .samples import NAIVE

_NO_STRINGS: list[Any] = [5, b"b", ["s"], "a\x00", "\x00", "\ud800", "x" * 1_000_001]
_NO_NUMBERS: list[Any] = ["1", 1.0, True, -1, 2**63, 1 << 20_000]  # the last has more digits than Python writes
_NO_RECORDS: list[Any] = [5, "s", {}, object(), records.TraceNode(trace=records.Trace())]
#: What is refused, by the annotation of a parameter; ones that are not here take anything, or have tests of their own.
WRONG: dict[str, list[Any]] = {
    "str": [None, *_NO_STRINGS],
    "str | None": _NO_STRINGS,
    "str | UnsetType": [None, *_NO_STRINGS],
    "int": [None, *_NO_NUMBERS],
    "int | None": _NO_NUMBERS,
    "bool | None": ["true", 1, 0, []],
    "datetime | None": ["2026-01-01", 0, NAIVE],
    "Sequence[str]": [None, "s", 5, [None], ["\x00"]],
    "Sequence[str] | None": ["s", 5, [None], ["\x00"]],
    "dict[str, Any]": [None, 5, [], {1: 2}, {"a": float("nan")}, {"a\x00": 1}],
    "dict[str, Any] | None": [5, [], {1: 2}, {"a": float("nan")}, {"a\x00": 1}, {"$no": 1}, {"a": {"$no": 1}}],
    "dict[str, Any] | UnsetType": [None, 5, [], {1: 2}, {"a": float("nan")}, {"a\x00": 1}, {"a": -0.0}],
    "list[Any] | UnsetType": [None, 5, {}, "s", [{1: 2}], [float("nan")]],
    "TokenUsage | None | UnsetType": [5, "s", {}, records.Session()],
    "Decimal | None | UnsetType": [*_NO_NUMBERS[:3], "s", {}, Decimal("NaN"), Decimal(-1), Decimal("1e-10"), -1],
    "SessionOrder": [None, 5, "created_at", "\x00"],
    "MessageOrder": [None, 5, "up", "\x00"],
    "Provider": [None, 5, "mistral", "\x00"],
    "Fence": [None, *_NO_RECORDS, records.Fence()],
    "Fence | int | None": ["s", {}, 1.5, True, -1, records.Fence(), records.Session()],
    "timedelta | float | None": ["60", True, 0, -1.0, timedelta(0), float("nan"), timedelta.max],
    "Record | None": _NO_RECORDS,
    "Iterable[Record]": [None, 5, [None], ["s"]],
    "Iterable[int]": [None, 5, "12", [None], *([each] for each in _NO_NUMBERS)],
    "bytes | IO[bytes]": [None, 5, "s", {}, io.StringIO("s")],
}
WRONG |= {kind.__name__: [None, *_NO_RECORDS] for kind in records.KINDS.values()}
WRONG |= {f"{kind.__name__} | None": _NO_RECORDS for kind in records.KINDS.values()}
WRONG |= {f"Iterable[{kind.__name__}]": [None, 5, [None], ["s"], [{}]] for kind in records.KINDS.values()}
#: What is right for an argument that must be given.
_RIGHT: dict[str, Any] = {
    "str": "s",
    "bool": True,
    "int": 1,
    "int | None": 1,
    "Sequence[str]": ["s"],
    "Iterable[int]": [1],
    "dict[str, Any]": {"k": 1},
    "Fence": records.Fence(session_id="s", token=1),
    "Provider": "openai",
    "bytes | IO[bytes]": b"s",
    "Artifact": records.Artifact(name="s"),
    "Message": records.Message(session_id="s", role="user"),
    "Iterable[Message]": [records.Message(session_id="s", role="user")],
    "Iterable[Event]": [records.Event(session_id="s")],
    "Iterable[Trace]": [records.Trace(session_id="s")],
    "Iterable[MemoryRecord]": [records.MemoryRecord(session_id="s")],
}


def _parameters(kind: type[Any]) -> Iterator[tuple[str, list[inspect.Parameter]]]:
    """The methods of an interface but their asynchronous variants, and what each takes."""
    methods = dict(inspect.getmembers(kind, inspect.isfunction))
    for name, method in methods.items():
        is_async_variant = name.startswith("a") and name[1:] in methods
        if not name.startswith("_") and not is_async_variant:
            yield name, list(inspect.signature(method).parameters.values())[1:]


def wrong_calls(kind: type[Any]) -> Iterator[tuple[str, str, list[Any], dict[str, Any]]]:
    """Calls that are right but for one argument: the method, the argument's name, and the arguments."""
    for method, parameters in _parameters(kind):
        for wrong in parameters:
            for value in WRONG.get(str(wrong.annotation), []):
                positional, named = [], {}
                for parameter in parameters:
                    if parameter is not wrong and parameter.default is not parameter.empty:
                        continue
                    if parameter.kind in (parameter.VAR_KEYWORD, parameter.VAR_POSITIONAL):
                        continue
                    given = value if parameter is wrong else _right(parameter)
                    if parameter.kind is parameter.POSITIONAL_ONLY:
                        positional.append(given)
                    else:
                        named[parameter.name] = given
                yield method, wrong.name, positional, named


def _right(parameter: inspect.Parameter) -> Any:
    if parameter.name == "kind":
        return "session"
    kind = str(parameter.annotation)
    return _RIGHT[kind] if kind in _RIGHT else getattr(records, kind)()


def check_refused(name: str, call: Any, positional: list[Any], named: dict[str, Any]) -> None:
    """See that a call is refused, and the argument named."""
    with pytest.raises(InvalidRecord) as caught:
        _all_of(call(*positional, **named))
    assert caught.value.field.replace("[", ".").split(".")[0] == name
    assert caught.value.problem


def _all_of(result: Any) -> None:
    if isinstance(result, Iterator):
        list(result)


class ArgumentContract(Unasked):
    def test_what_is_no_such_argument_is_refused_by_name(self, storage_unasked: Storage) -> None:
        """Against: None that is taken for "any", and reads what is another session's."""
        for method, name, positional, named in cases(wrong_calls(Storage)):
            with case(method, name, positional, named):
                call = getattr(storage_unasked, method)
                if method == "purge_permit":
                    call = _entered(call)
                check_refused(name, call, positional, named)

    def test_what_is_no_such_argument_of_a_purge(self, storage: Storage) -> None:
        for method, name, positional, named in cases(wrong_calls(PurgePermit)):
            with case(method, name, positional, named), storage.purge_permit(reason="to try") as permit:
                check_refused(name, getattr(permit, method), positional, named)
        assert list(storage.scan("audit_log")) == []

    def test_records_of_another_kind(self, storage_unasked: Storage) -> None:
        others: list[Any] = [kind() for kind in records.KINDS.values()]
        for method, parameters in _parameters(Storage):
            for parameter in parameters:
                wanted = str(parameter.annotation)
                if wanted in WRONG and hasattr(records, wanted):
                    needed = {
                        each.name: _right(each)
                        for each in parameters
                        if each is not parameter and each.default is each.empty and each.kind is not each.VAR_KEYWORD
                    }
                    for other in (other for other in others if type(other).__name__ != wanted):
                        with case(method, other):
                            call = getattr(storage_unasked, method)
                            check_refused(parameter.name, call, [other], needed)
        for method in ("add_messages", "append_events"):
            check_refused(method.split("_")[1], getattr(storage_unasked, method), [[records.Trace()]], {})


def _entered(permit: Any) -> Any:
    def call(**named: Any) -> None:
        with permit(**named):
            pass

    return call
