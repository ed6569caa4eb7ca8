"""A view for load balancers and monitors: whether the stores of the settings can be reached and used."""

from __future__ import annotations

import logging

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from .exceptions import ChronosError
from .facade.stores import storages
from .records import Health

logger = logging.getLogger("chronos_storage.health")


@require_safe
@never_cache
def health(request: HttpRequest) -> HttpResponse:
    """Each storage of the settings, ``ok`` or ``unavailable``: status 200 if all can be used, else 503.

    Nobody has to sign in, and so it does not say more; what is wrong goes to the log ``chronos_storage.health``.
    """
    stores = {alias: "ok" if is_usable(alias) else "unavailable" for alias in storages}
    all_ok = all(state == "ok" for state in stores.values())
    status = {"status": "ok" if all_ok else "unavailable", "stores": stores}
    return JsonResponse(status, status=200 if all_ok else 503)


def is_usable(alias: str) -> bool:
    """Whether a storage can be reached and used; what keeps it from that is logged."""
    try:
        return not logged(alias, storages[alias].health())
    except ChronosError as error:  # of the settings
        return not logged(alias, Health(backend="", problems=(str(error),)))


def logged(alias: str, found: Health) -> tuple[str, ...]:
    """What keeps a storage from being used, which is logged."""
    for problem in found.problems:
        logger.error("The storage %r can't be used: %s", alias, problem)
    return found.problems
