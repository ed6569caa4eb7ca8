"""All backends give the same answers to the same calls: what they return, and raise, word by word."""

from __future__ import annotations

import dataclasses
import time

import pytest
from django.conf import settings

from chronos_storage import Storage
from chronos_storage.backends.document import MemoryBackend
from chronos_storage.backends.orm import OrmBackend
from chronos_storage.records import KINDS, TokenUsage
from tests.comparison.arguments import APART, METHODS, methods_of, records_of
from tests.comparison.pools import pool_of
from tests.comparison.run import Comparison

#: Calls that are compared, and the seconds after which no more are.
CALLS, SECONDS = 400, 6


@pytest.mark.django_db(databases=list(settings.DATABASES))
def test_the_same_calls_give_the_same_answers() -> None:
    """Against: a result list that differs between backends. ``make soak`` has the long form."""
    stores = {"memory": Storage(MemoryBackend())}
    stores |= {alias: Storage(OrmBackend(using=alias)) for alias in settings.DATABASES}
    end = time.monotonic() + SECONDS
    for _ in Comparison(stores, seed=0).run(CALLS):
        if time.monotonic() > end:
            break


def test_every_public_method_is_compared_with_all_that_it_takes() -> None:
    """What is new has to be given values, or a reason for which it is not called."""
    assert METHODS.keys() | APART.keys() == methods_of(Storage).keys()
    for method, parameters in METHODS.items():
        for parameter in parameters:
            if parameter.kind is not parameter.VAR_KEYWORD and not records_of(parameter):
                assert pool_of(method, parameter.name)
    for kind in [*KINDS.values(), TokenUsage]:
        for field in dataclasses.fields(kind):
            assert field.name == "usage" or pool_of(kind.__name__, field.name)
