"""JSON as text: how values are written, read and compared."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from json.encoder import c_make_encoder, encode_basestring  # type: ignore[attr-defined]  # typeshed lacks one
from typing import Any

from ..exceptions import InvalidRecord
from .limits import MAX_JSON_BYTES


def _encoding(sort_keys: bool) -> Callable[[Any], str]:
    encoder = json.JSONEncoder(
        ensure_ascii=False, allow_nan=False, check_circular=False, separators=(",", ":"), sort_keys=sort_keys
    )
    if c_make_encoder is None:  # as PyPy has none
        return encoder.encode
    # Which `encode` makes anew for each value: of a short one that is most of it.
    make: Any = c_make_encoder
    chunks = make(None, encoder.default, encode_basestring, None, ":", ",", sort_keys, False, False)
    return lambda value: "".join(chunks(value, 0))


#: The JSON text of a value that `json_value` gave, however long: keys in their order, no spaces.
encode = _encoding(sort_keys=False)
#: The JSON text of a string.
quoted: Callable[[str], str] = encode_basestring
_encode_sorted = _encoding(sort_keys=True)
_decoder = json.JSONDecoder()
_scan: Callable[[str, int], tuple[Any, int]] = _decoder.scan_once  # type: ignore[attr-defined]  # typeshed lacks it


def dumps(value: Any, field: str = "value", limit: int = MAX_JSON_BYTES) -> str:
    """The JSON text that is stored of a value that `json_value` gave: keys in their order, no spaces.

    Raises:
        InvalidRecord: it is longer than `limit`, in bytes of UTF-8.
    """
    text = encode(value)
    if len(text) > limit // 4 and (size := bytes_of(text)) > limit:
        raise InvalidRecord(field, f"is {size:,} bytes of JSON; at most {limit:,} are kept")
    return text


def bytes_of(text: str) -> int:
    """The length of a text in UTF-8."""
    return len(text) if text.isascii() else len(text.encode())


def loads(text: str) -> Any:
    """The value that `dumps` wrote."""
    try:
        value, end = _scan(text, 0)
    except StopIteration:
        return _decoder.decode(text)  # which skips what is written by hand around it, or says what is wrong
    return value if end == len(text) else _decoder.decode(text)


def loads_each(texts: Iterable[str | None]) -> list[Any]:
    """The values of many texts, None for None; what most of them are, where there is nothing, is not parsed."""
    return [{} if text == "{}" else None if text is None or text == "null" else loads(text) for text in texts]


def canonical(value: Any) -> str:
    """The JSON text that two values share exactly when they are the same: as `dumps`, keys sorted."""
    return _encode_sorted(value)
