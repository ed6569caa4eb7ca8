"""What ``make soak`` compares the backends by is whole: each method, and each field of each record."""

from __future__ import annotations

import dataclasses

import pytest

from chronos_storage.records import KINDS, Embedding, TokenUsage
from tests.comparison.methods import QUEUE, STORAGE, VECTORS, Interface, methods_of, records_of
from tests.comparison.pools import pool_of

each_interface: pytest.MarkDecorator = pytest.mark.parametrize(
    "interface", [STORAGE, QUEUE, VECTORS], ids=lambda interface: interface.kind.__name__
)


@each_interface
def test_every_public_method_is_compared_with_all_that_it_takes(interface: Interface) -> None:
    """What is new has to be given values, or a reason for which it is not called."""
    assert interface.methods.keys() | interface.apart.keys() == methods_of(interface.kind).keys()
    for method, parameters in interface.methods.items():
        for parameter in parameters:
            if parameter.kind is not parameter.VAR_KEYWORD and not records_of(parameter):
                assert pool_of(method, parameter.name)


def test_every_field_of_a_record_is_given() -> None:
    for kind in [*KINDS.values(), TokenUsage, Embedding]:
        for field in dataclasses.fields(kind):
            assert field.name == "usage" or pool_of(kind.__name__, field.name)
