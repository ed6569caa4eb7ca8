"""Redaction: hooks that see each record before it is written, and take out of it what must not be kept.

A hook is named by dotted path in ``CHRONOS_STORAGE["REDACT"]``, a list. It is called with a copy of the record that was
checked: it changes fields in place, and returns how many things of which name it took out. What is counted is told by
the signal `signals.redacted`; what was taken out is not. `Storage.load` keeps records as they are, and only counts.
"""

from __future__ import annotations

import dataclasses
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache, partial
from typing import Any, TypeVar

from django.core.signals import setting_changed
from django.utils.module_loading import import_string

from . import conf, signals
from .exceptions import ConfigurationError
from .records import Record

R = TypeVar("R", bound=Record)

#: What a hook is: changes a record in place, and says how many things of which name it took out.
Hook = Callable[[Record], Mapping[str, int]]
#: What the settings name, once they are there.
_known: list[tuple[Hook, ...]] = []


def redacted(record: R) -> R:
    """A checked copy of a record, as it may be written: what the hooks make of it.

    Raises:
        InvalidRecord: a field holds what no backend can keep, before the hooks or after them.
        ConfigurationError: a hook can't be imported.
    """
    copy = record.cleaned()
    if not (found := hooks()):
        return copy
    _tell(copy, found)
    return copy.cleaned()


def counted(records: Iterable[R]) -> Iterable[R]:
    """The records as they are, of which is only counted what the hooks would take out; an iterator, if it is one."""
    if not (found := hooks()):
        return records
    return _count(records, found) if isinstance(records, Iterator) else _Counted(records, found)


class _Counted(Iterable[R]):
    """Records that can be gone through again."""

    def __init__(self, records: Iterable[R], found: tuple[Hook, ...]) -> None:
        self._records = records
        self._found = found

    def __iter__(self) -> Iterator[R]:
        return _count(self._records, self._found)


def _count(records: Iterable[R], found: tuple[Hook, ...]) -> Iterator[R]:
    for record in records:
        _tell(record.cleaned(), found)
        yield record


def _tell(record: Record, found: Iterable[Hook]) -> None:
    counts: Counter[str] = Counter()
    for hook in found:
        counts.update(hook(record))
    if counts := +counts:
        signals.redacted.send_robust(type(record), counts=dict(counts))


def hooks() -> tuple[Hook, ...]:
    """The hooks that the settings name, in their order; none where there are no settings, which a storage may lack.

    Raises:
        ConfigurationError: one can't be imported, or can't be called.
    """
    if not _known and conf.has_settings():  # which may come yet
        _known.append(_named())
    return _known[0] if _known else ()


def _named() -> tuple[Hook, ...]:
    given: Any = conf.configured().get("REDACT", ())
    where = f'{conf.NAME}["REDACT"]'
    if not isinstance(given, list | tuple):
        raise ConfigurationError(f"{where} must be a list of dotted paths, not {type(given).__name__}")
    return tuple(_hook(path, f"{where}[{place}]") for place, path in enumerate(given))


def _hook(path: Any, where: str) -> Hook:
    try:
        hook: Any = import_string(path)
    except (ImportError, AttributeError, TypeError) as error:
        raise ConfigurationError(f"{where} names {path!r}, which can't be imported: {error}") from error
    if not callable(hook):
        raise ConfigurationError(f"{where} names {path!r}, which is no function")
    found: Hook = hook
    return found


def _forget(*, setting: str, **kwargs: Any) -> None:
    if setting == conf.NAME:
        _known.clear()


setting_changed.connect(_forget, dispatch_uid=__name__)


# A hook for common secrets

#: What may say anything, besides the fields that are measured as JSON; the other strings are ids and short names.
_CONTENT = frozenset({"content", "description", "error", "state", "system_prompt", "title"})

#: Where a word begins, in JSON within a text after what is escaped too.
_WORD = r"(?:\b|(?<=\\[bfnrt]))"
_PEM = r"[A-Z ]{0,30}PRIVATE KEY(?: BLOCK)?"
_QUOTE = r"\\{0,3}[\"']?"
_BASE64 = "[A-Za-z0-9/+]"
#: By name, a part of each such secret, which is quickly looked for, and what one looks like; its group ``keep`` stays.
#: However a text is made, each takes time in proportion to its length.
_PATTERNS = {
    "private_key": (
        "PRIVATE KEY",
        rf"-----BEGIN {_PEM}-----(?:[^-]|-(?!----)){{1,20000}}-----END {_PEM}-----",
    ),
    "anthropic_key": ("sk-ant-", rf"{_WORD}sk-ant-[A-Za-z0-9_-]{{20,}}"),
    "openai_key": ("sk-", rf"{_WORD}sk-(?:proj-|svcacct-|admin-)?[A-Za-z0-9_-]{{20,}}"),
    "aws_key_id": ("IA", rf"{_WORD}(?:AKIA|ASIA)[0-9A-Z]{{16}}\b"),
    "aws_secret": (
        "",
        rf"(?P<keep>(?i:aws_?secret_?(?:access_?)?key){_QUOTE}\s{{0,5}}[=:]\s{{0,5}}{_QUOTE}){_BASE64}{{40}}(?!{_BASE64})",
    ),
    "github_token": ("_", rf"{_WORD}(?:gh[pousr]_[A-Za-z0-9]{{36,255}}|github_pat_[A-Za-z0-9_]{{22,255}})"),
    "gitlab_token": ("glpat-", rf"{_WORD}glpat-[A-Za-z0-9_-]{{20,}}"),
    "google_key": ("AIza", rf"{_WORD}AIza[0-9A-Za-z_-]{{35}}"),
    "slack_token": ("xox", rf"{_WORD}xox[abeprs]-[A-Za-z0-9-]{{10,}}"),
    "stripe_key": ("k_", rf"{_WORD}[rs]k_(?:live|test)_[A-Za-z0-9]{{16,}}"),
    "json_web_token": (
        "eyJ",
        r"(?:(?<![\w-])|(?<=\\[bfnrt]))eyJ[A-Za-z0-9_-]{8,}\.eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}",
    ),
    "bearer_token": ("", rf"(?P<keep>{_WORD}(?i:bearer)\s{{1,5}})[A-Za-z0-9._~+/-]{{16,}}={{0,2}}"),
    # What follows a second "@" belongs to the password still, as programs take the last one.
    "url_password": (
        "://",
        r"(?P<keep>\b[A-Za-z][A-Za-z0-9+.-]{1,20}://[^\s:/]{0,100}:)[^\s/@]{1,200}(?:@[^\s/@?#,]{1,200}){0,3}(?=@)",
    ),
}
_COMPILED = [(name, part, re.compile(pattern)) for name, (part, pattern) in _PATTERNS.items()]
#: The digits of a card's number as they are written: all together, or in the groups that are printed on it.
_CARD = re.compile(
    r"(?<![\w.-])(?=[2-6])(?:[0-9]{13,19}|[0-9]{4}([ -])[0-9]{4}\1[0-9]{4}\1[0-9]{4}(?:\1[0-9]{1,3})?"
    r"|[0-9]{4}([ -])[0-9]{6}\2[0-9]{4,5})(?![\w-])"
)
#: How long four groups of four are.
_GROUPED = 19


def secrets(record: Record) -> Counter[str]:
    """A hook: replaces common secrets by ``[redacted: NAME]``, in JSON and long texts, but not in ids and keys.

    It knows private keys, the tokens of some well-known services, JSON web tokens, bearer tokens, passwords in
    addresses, and card numbers with a valid check digit (ISO/IEC 7812-1). What looks like none of them it can't know.

    Returns:
        How many of each name.
    """
    counts: Counter[str] = Counter()
    for name in _content(type(record)):  # type: ignore[arg-type]
        if value := getattr(record, name):
            setattr(record, name, _without(value, counts))
    return counts


@cache
def _content(record: Any) -> tuple[str, ...]:
    """The fields of a type of record that may say anything."""
    fields = dataclasses.fields(record)
    return tuple(each.name for each in fields if each.metadata.get("json") or each.name in _CONTENT)


def _without(value: Any, counts: Counter[str]) -> Any:
    match value:
        case str():
            for name, part, pattern in _COMPILED:
                if part in value:
                    value = pattern.sub(partial(_replaced, name=name, counts=counts), value)
            return _without_cards(value, counts)
        case dict():
            return {key: _without(each, counts) for key, each in value.items()}
        case list():
            return [_without(each, counts) for each in value]
        case _:
            return value


def _replaced(found: re.Match[str], *, name: str, counts: Counter[str]) -> str:
    counts[name] += 1
    return f"{found.groupdict().get('keep', '')}[redacted: {name}]"


def _without_cards(text: str, counts: Counter[str]) -> str:
    parts, rest, start = [], 0, 0
    while found := _CARD.search(text, start):
        number = found[0]
        if not _is_card_number(number):
            number = number[:_GROUPED]  # what follows may be another number, such as the card's month
        start = found.start() + 1  # where it is none, one may begin at its second group
        if _is_card_number(number):
            counts["card_number"] += 1
            parts += [text[rest : found.start()], "[redacted: card_number]"]
            rest = start = found.start() + len(number)
    return "".join([*parts, text[rest:]]) if parts else text


def _is_card_number(text: str) -> bool:
    """Whether the last digit checks the others, by Luhn's formula."""
    digits = [int(char) for char in reversed(text) if char.isdigit()]
    return sum(digits[::2]) % 10 == -sum(sum(divmod(2 * digit, 10)) for digit in digits[1::2]) % 10
