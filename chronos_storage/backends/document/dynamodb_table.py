"""The table that documents are in."""

from __future__ import annotations

import time
from contextlib import suppress
from typing import Any

from botocore.exceptions import ClientError

from ...exceptions import ConfigurationError, StoreFailure
from .dynamodb_server import DynamoServer

_KEYS = {"pk": ("HASH", "S"), "sk": ("RANGE", "B")}
#: The attribute that says from when on DynamoDB may remove an item.
_EXPIRY = "x"
_WAIT_SECONDS = 120


def make(server: DynamoServer) -> None:
    """Make the table, which is paid for by request, and wait until it can be used; again, no change.

    Raises:
        ConfigurationError: there is one of this name with other keys.
    """
    if _description(server) is None:
        with suppress(StoreFailure):  # somebody else makes it; what is wrong otherwise is found next
            create(server)
    deadline = time.monotonic() + _WAIT_SECONDS
    while (found := require(server))["TableStatus"] not in ("ACTIVE", "UPDATING"):
        if time.monotonic() > deadline:
            raise StoreFailure(f"the table {server} is {found['TableStatus']}")
        time.sleep(1)
    told = server.ask("describe_time_to_live")["TimeToLiveDescription"]
    if told["TimeToLiveStatus"] in ("DISABLED", "DISABLING"):
        wish = {"Enabled": True, "AttributeName": _EXPIRY}
        server.ask("update_time_to_live", TimeToLiveSpecification=wish)


def create(server: DynamoServer) -> None:
    """Have the table be made, which is not there yet."""
    server.ask(
        "create_table",
        KeySchema=[{"AttributeName": name, "KeyType": kind} for name, (kind, _) in _KEYS.items()],
        AttributeDefinitions=[{"AttributeName": name, "AttributeType": type_} for name, (_, type_) in _KEYS.items()],
        BillingMode="PAY_PER_REQUEST",
    )


def require(server: DynamoServer) -> Any:
    """What DynamoDB says of the table.

    Raises:
        ConfigurationError: it isn't there, or its keys are others.
    """
    found = server.ask("describe_table")["Table"]
    keys = {each["AttributeName"]: each["KeyType"] for each in found["KeySchema"]}
    types = {each["AttributeName"]: each["AttributeType"] for each in found["AttributeDefinitions"]}
    if keys != {name: kind for name, (kind, _) in _KEYS.items()} or any(
        types[name] != type_ for name, (_, type_) in _KEYS.items()
    ):
        raise ConfigurationError(f"the table {server} is somebody else's: its keys are not pk (S) and sk (B)")
    return found


def _description(server: DynamoServer) -> Any:
    try:
        return server.ask("describe_table")
    except ConfigurationError as error:
        if not isinstance(error.__cause__, ClientError) or "ResourceNotFound" not in str(error.__cause__):
            raise
        return None
