"""``Fence``: the header by which a writer shows its token."""

from __future__ import annotations

import re

from rest_framework.exceptions import ValidationError
from rest_framework.request import Request

from .. import codec

HEADER = "Fence"
_TOKEN = re.compile(r"[0-9]{1,19}")


def fence_of(request: Request) -> int | None:
    """The token that the writer shows; None without one.

    Raises:
        ValidationError: it is none.
    """
    given = request.headers.get(HEADER)
    if given is None:
        return None
    if not _TOKEN.fullmatch(given) or int(given) > codec.MAX_INTEGER:
        raise ValidationError({HEADER: "must be the token of a fence, a whole number"})
    return int(given)
