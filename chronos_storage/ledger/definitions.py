"""What a trigger or function is to be, what it is in the database, and what is left there of another version."""

from __future__ import annotations

import re
from dataclasses import dataclass
from hashlib import sha256

#: The names of what any version of this package makes, with the digest that this one appends to them.
_OURS = re.compile(
    "chronos_storage_(refuse|(message|event|auditlog|checkpoint|queueentry)_(append|append_few|append_only|no_update|no_delete|no_replace))(_[0-9a-f]+)?"
)


@dataclass(frozen=True, slots=True)
class Guarded:
    """A table that triggers guard.

    Attributes:
        keys: the columns of each unique key.
        kept: the columns that nothing changes.
        blank: by column, what an erasure leaves in it, in SQL. Of the others the id may become another one, and
            ``erased`` is set once. Nothing, where the table is of a version before that.
        documents: the columns of JSON.
    """

    keys: list[list[str]]
    kept: list[str]
    blank: dict[str, str]
    documents: list[str]

    def is_emptied(self, same: str, quote: str, as_text: str = "") -> str:
        """The condition, in a trigger on UPDATE, that a row is emptied and nothing else is done to it.

        Args:
            same: the database's operator for what are equal, or NULL both.
            quote: what it has around names.
            as_text: what follows a column of JSON to be compared as text.
        """

        def column(row: str, name: str) -> str:
            return f"{row}.{quote}{name}{quote}"

        if not self.blank:
            return "1 = 0"
        kept = [f"{column('NEW', name)} {same} {column('OLD', name)}" for name in self.kept]
        blank = [
            f"{column('NEW', name)}{as_text if name in self.documents else ''} {same} {value}"
            for name, value in self.blank.items()
        ]
        return " AND ".join([f"{column('OLD', 'erased')} = ''", f"{column('NEW', 'erased')} <> ''", *kept, *blank])


@dataclass(frozen=True, slots=True)
class Wanted:
    """A trigger or function as it is to be.

    Attributes:
        text: what the database tells of it once it is made, to the letter.
        create: the statements that make it, whatever has its name now.
    """

    text: str
    create: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Installed:
    """A trigger or function as it is.

    Attributes:
        text: what the database tells of it; None if it does nothing.
        drop: the statement that removes it.
        hidden: this user may not see its text; its name, which has the text's digest, must do.
    """

    text: str | None
    drop: str
    hidden: bool = False


def versioned(stem: str, text: str) -> str:
    """A name that another text would not have.

    So what replaces it is made beside it before it is removed, and there is no moment without a guard where a
    statement is a transaction; and whoever still runs the version before calls its own function.
    """
    return f"{stem}_{sha256(text.encode()).hexdigest()[:8]}"


def outdated(installed: dict[str, Installed], wanted: dict[str, Wanted]) -> list[str]:
    """The names of what another version made."""
    return [name for name in installed if _OURS.fullmatch(name) and name not in wanted]
