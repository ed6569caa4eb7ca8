"""This package's errors as those that eventsourcing's users expect."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from eventsourcing.persistence import (
    DataError,
    IntegrityError,
    NotSupportedError,
    OperationalError,
    PersistenceError,
    ProgrammingError,
)

from ... import exceptions

#: The first of these that an error is one of.
_ERRORS: tuple[tuple[type[exceptions.ChronosError], type[PersistenceError]], ...] = (
    (exceptions.AlreadyExists, IntegrityError),
    (exceptions.InvalidRecord, DataError),
    (exceptions.NotSupported, NotSupportedError),
    (exceptions.NotFound, ProgrammingError),
    (exceptions.ConfigurationError, ProgrammingError),
    (exceptions.ChronosError, OperationalError),
)


@contextmanager
def translated() -> Iterator[None]:
    try:
        yield
    except exceptions.ChronosError as error:
        raise next(theirs for ours, theirs in _ERRORS if isinstance(error, ours))(str(error)) from error
