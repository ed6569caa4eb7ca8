"""What the parameters of a query say."""

from __future__ import annotations

import re

from rest_framework.exceptions import ValidationError
from rest_framework.request import Request

from .ids import read_addresses

_WHOLE_NUMBER = re.compile(r"[1-9][0-9]{0,8}\Z")


def whole_number(request: Request, name: str, default: int, most: int) -> int:
    """The number, from 1 on, that a parameter of the query gives."""
    given = request.query_params.get(name)
    if given is None:
        return default
    if not (_WHOLE_NUMBER.match(given) and int(given) <= most):
        raise ValidationError({name: f"must be a whole number from 1 to {most}"})
    return int(given)


def flag(request: Request, name: str) -> bool:
    """Whether a parameter of the query is given as true."""
    given = request.query_params.get(name, "false")
    if given not in ("true", "false"):
        raise ValidationError({name: "must be true or false"})
    return given == "true"


def names(request: Request, name: str) -> list[str] | None:
    """The ids, or other names, that a parameter of the query lists; None unless it is given."""
    given = request.query_params.get(name)
    if given is None:
        return None
    try:
        return read_addresses(given)
    except ValueError as error:
        raise ValidationError({name: str(error)}) from None
