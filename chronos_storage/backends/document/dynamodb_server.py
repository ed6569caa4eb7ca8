"""DynamoDB as a driver asks it: its client, what is made again, and errors of ours for the client's."""

from __future__ import annotations

import json
import random
import threading
import time
from base64 import b64decode
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, TypeVar
from urllib.parse import parse_qsl, unquote, urlsplit
from uuid import uuid4

import boto3
from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectionClosedError,
    HTTPClientError,
    NoCredentialsError,
    PartialCredentialsError,
    ReadTimeoutError,
)
from botocore.exceptions import ConnectionError as NoConnection

from ...exceptions import ConfigurationError, RetryTransaction, StoreFailure
from ...forks import PerProcess
from .driver import Unavailable
from .dynamodb_items import Address, Item, address_of

T = TypeVar("T")

_CONNECT_SECONDS = 5
#: Seconds for which what is asked for too often is asked for again, and the waits between, on average.
_PATIENCE, _SHORTEST, _LONGEST = 20.0, 0.025, 2.0
_THROTTLED = {
    "ProvisionedThroughputExceeded",
    "ProvisionedThroughputExceededException",
    "RequestLimitExceeded",
    "Throttling",
    "ThrottlingError",
    "ThrottlingException",
    "TransactionInProgressException",
    "LimitExceededException",
}
_CANCELED = "TransactionCanceledException"
_CONFLICTS = {"ConditionalCheckFailed", "TransactionConflict"}
#: What a single write is refused with.
_REFUSED = {"ConditionalCheckFailedException", "TransactionConflictException"}
_NOT_LET_IN = {
    "AccessDeniedException",
    "ExpiredTokenException",
    "IncompleteSignatureException",
    "InvalidSignatureException",
    "MissingAuthenticationTokenException",
    "NotAuthorized",
    "UnrecognizedClientException",
}
_PASSING = {"InternalServerError", "InternalFailure", "ServiceUnavailable"}
_ADDRESS = "the address of a DynamoDB store is written dynamodb://region/table?endpoint_url=http://host:port"
_OPTIONS = {"endpoint_url": str, "timeout": float, "max_connections": int}
#: Items of one request, at most: read, and written without conditions.
_READ_AT_ONCE, _WRITTEN_AT_ONCE = 100, 25
_BYTES_AT_ONCE = 8 * 1024 * 1024


class NotFulfilled(Exception):
    """A condition didn't hold, or another transaction is at it: nothing was written."""


class DynamoServer(PerProcess):
    """A table of DynamoDB's. Threads share its client; a forked child makes one of its own.

    Args:
        endpoint_url: of a server that speaks as DynamoDB does; empty for the region's own.
        timeout: seconds that an answer is waited for.
        max_connections: how many there are at most in this process.
        credentials: access_key_id, secret_access_key and session_token; without them boto3 looks where it always does.
    """

    def __init__(
        self, region: str, table: str, endpoint_url: str, timeout: float, max_connections: int, **credentials: str
    ) -> None:
        self.table = table
        self._options: dict[str, Any] = {
            "region_name": region,
            "endpoint_url": endpoint_url or None,
            "config": Config(
                connect_timeout=_CONNECT_SECONDS,
                read_timeout=timeout,
                max_pool_connections=max_connections,
                retries={"total_max_attempts": 1},
                parameter_validation=False,  # what is asked is all ours
                tcp_keepalive=True,
                user_agent="chronos-storage",  # boto3's own is put together for each request, a fifth of its time
            ),
            **{f"aws_{name}": value for name, value in credentials.items() if value},
        }
        self._name = f"{region}/{table}" + (f" at {urlsplit(endpoint_url).netloc}" if endpoint_url else "")
        super().__init__()

    def begin(self) -> None:
        self._lock = threading.Lock()
        self._client: Any = None

    def __str__(self) -> str:
        return self._name

    def close(self) -> None:
        """Close the connections, those that are in use once they are not; whoever comes later gets new ones."""
        with self._lock:
            client, self._client = self._client, None
        if client is not None:
            client.close()

    def _connected(self) -> Any:
        with self._lock:
            if self._client is None:
                # A session of its own: the one that all of boto3 shares is not for threads.
                self._client = boto3.session.Session().client("dynamodb", **self._options)
                for operation in ("BatchGetItem", "Query"):
                    self._client.meta.events.register(f"before-parse.dynamodb.{operation}", _read)
            return self._client

    def ask(self, operation: str, **parameters: Any) -> Any:
        """What DynamoDB answers. What it has no capacity for just now is asked for again, for a while.

        What is lost on the way is asked for once more: of reads, and of transactions, which have a token by which
        DynamoDB knows them again.

        Raises:
            NotFulfilled: a condition didn't hold.
            Unavailable: it can't be reached; what was sent may have been done.
            RetryTransaction: there was no capacity for a longer time.
            StoreFailure: it can't do it, whoever asks.
            ConfigurationError: it lets us not in, or the table isn't there.
        """
        parameters = {"TableName": self.table, **parameters} if operation not in _OF_TABLES else parameters
        if operation == "transact_write_items":
            # One for all attempts: what is in progress may be an earlier one, whose answer was lost.
            parameters = {**parameters, "ClientRequestToken": str(uuid4())}
        deadline, pause = time.monotonic() + _PATIENCE, _SHORTEST
        while True:
            try:
                return self._asked_twice(operation, parameters)
            except ClientError as error:
                codes = _codes(error)
                if codes & (_CONFLICTS | _REFUSED):
                    raise NotFulfilled from error
                if not codes & _THROTTLED:
                    raise self._translated(error, codes) from error
                if time.monotonic() > deadline:
                    raise RetryTransaction(
                        f"DynamoDB has no capacity for more requests to {self} now: {error.response['Error']['Code']}"
                    ) from error
            pause = _wait(pause)

    def _asked_twice(self, operation: str, parameters: dict[str, Any]) -> Any:
        again = is_first = operation.startswith(("get", "batch_get", "query", "transact"))
        try:
            while True:
                try:
                    return getattr(self._connected(), operation)(**parameters)
                except (ConnectionClosedError, ReadTimeoutError):
                    if not again:
                        raise
                    again = False
        except (NoCredentialsError, PartialCredentialsError) as error:
            raise ConfigurationError(
                "boto3 finds no credentials: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or a profile"
            ) from error
        except (NoConnection, HTTPClientError, OSError) as error:
            raise Unavailable(f"DynamoDB, {self}, can't be reached, or the connection was lost") from error
        except ClientError as error:
            if is_first and not again and _codes(error) & _CONFLICTS:
                # Of a server that doesn't know the token, this may be what it has done itself.
                raise Unavailable(f"the connection with DynamoDB, {self}, was lost") from error
            raise
        except BotoCoreError as error:
            raise StoreFailure(f"DynamoDB can't be asked: {error}") from error

    def _translated(self, error: ClientError, codes: set[str]) -> Exception:
        message = error.response["Error"].get("Message", "") or ", ".join(codes)
        if "ResourceNotFoundException" in codes:
            return ConfigurationError(f"there is no table {self}: migrate the store, which makes it")
        if codes & _NOT_LET_IN:
            return ConfigurationError(f"DynamoDB does not let us in: {message}")
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        if codes & _PASSING or status >= 500:
            return Unavailable(f"DynamoDB, {self}, can't do it now: {message}")
        return StoreFailure(f"DynamoDB refused it: {message}")

    # Items

    def items(self, addresses: Iterable[Address], attributes: str = "") -> dict[Address, Item]:
        """The items that are there, as they are now; or these of their attributes, and their address."""
        found: dict[Address, Item] = {}
        request: dict[str, Any] = {"ConsistentRead": True}
        if attributes:
            names = ["pk", "sk", *attributes.split()]
            request["ProjectionExpression"] = ", ".join(f"#{name}" for name in names)
            request["ExpressionAttributeNames"] = {f"#{name}": name for name in names}
        for some in _batches([address.key for address in dict.fromkeys(addresses)], _READ_AT_ONCE):
            for answer in self._until_processed("batch_get_item", "UnprocessedKeys", {**request, "Keys": some}):
                for item in answer["Responses"].get(self.table, ()):
                    found[address_of(item)] = item
        return found

    def _until_processed(self, operation: str, rest: str, request: Any) -> Iterator[Any]:
        """The answers to a request that DynamoDB may do in parts."""
        deadline, pause = time.monotonic() + _PATIENCE, _SHORTEST
        requests = {self.table: request}
        while requests:
            answer = self.ask(operation, RequestItems=requests)
            yield answer
            left = answer.get(rest, {})
            if left == requests:
                if time.monotonic() > deadline:
                    raise RetryTransaction(f"DynamoDB has no capacity for more requests to {self} now")
                pause = _wait(pause)
            requests = left

    def query(self, pk: str, low: bytes, high: bytes, *, reverse: bool = False, **options: Any) -> Iterator[list[Item]]:
        """The items under a ``pk`` from a ``sk`` to another, both inclusive, in pages, as they are now."""
        request: dict[str, Any] = {
            "KeyConditionExpression": "pk = :p AND sk BETWEEN :l AND :h",
            "ExpressionAttributeValues": {":p": {"S": pk}, ":l": {"B": low}, ":h": {"B": high}},
            "ConsistentRead": True,
            "ScanIndexForward": not reverse,
            **options,
        }
        while True:
            answer = self.ask("query", **request)
            yield answer["Items"]
            if not (last := answer.get("LastEvaluatedKey")):
                return
            request["ExclusiveStartKey"] = last

    def write(self, items: Sequence[Item]) -> None:
        """Write items, over what is there, in no order."""
        self._batch([({"PutRequest": {"Item": item}}, sum(map(_size, item.values()))) for item in items])

    def remove(self, addresses: Iterable[Address]) -> None:
        """Remove items, in no order."""
        self._batch([({"DeleteRequest": {"Key": address.key}}, 0) for address in addresses])

    def _batch(self, requests: list[tuple[Any, int]]) -> None:
        some: list[Any] = []
        total = 0
        for request, size in [*requests, (None, 0)]:
            if some and (request is None or len(some) == _WRITTEN_AT_ONCE or total + size > _BYTES_AT_ONCE):
                for _ in self._until_processed("batch_write_item", "UnprocessedItems", some):
                    pass
                some, total = [], 0
            some.append(request)
            total += size

    def transact(self, operations: Sequence[Item]) -> None:
        """Write a hundred items at most, all or none.

        Raises:
            NotFulfilled: a condition didn't hold.
        """
        named = [
            {kind: {"TableName": self.table, **operation} for kind, operation in each.items()} for each in operations
        ]
        self.ask("transact_write_items", TransactItems=named)


def _read(response_dict: Any, customized_response_dict: Any, **_: Any) -> None:
    """Read items as the JSON that they are; boto3 looks each attribute up in its model, ten times slower."""
    if response_dict["status_code"] == 200:
        customized_response_dict |= json.loads(response_dict["body"], object_hook=_attribute)
        response_dict["body"] = b""


def _attribute(value: dict[str, Any]) -> dict[str, Any]:
    return {"B": b64decode(value["B"])} if "B" in value else value


_OF_TABLES = {"batch_get_item", "batch_write_item", "transact_write_items"}


def _size(value: Any) -> int:
    return sum(len(each) for each in value.values() if isinstance(each, str | bytes))


def _batches(values: list[T], size: int) -> Iterator[list[T]]:
    return (values[start : start + size] for start in range(0, len(values), size))


def _codes(error: ClientError) -> set[str]:
    """What DynamoDB says of an error: of a transaction, what was wrong with its parts."""
    code = str(error.response["Error"]["Code"])
    if code != _CANCELED:
        return {code}
    reasons = {str(reason.get("Code")) for reason in error.response.get("CancellationReasons", ())}
    return reasons - {"None"} or {code}


def _wait(pause: float) -> float:
    """Wait about so long; returns how long the next time."""
    time.sleep(pause * random.uniform(0.5, 1.5))  # noqa: S311
    return min(2 * pause, _LONGEST)


def open_server(url: str, region: str, table: str, endpoint_url: str, **options: Any) -> DynamoServer:
    """The table that an address names, or the other arguments, which go first; see `DynamoBackend`.

    Raises:
        ConfigurationError: the address can't be read, or has an option that is not known.
    """
    said: dict[str, Any] = {}
    if url:
        try:
            place = urlsplit(url)
            said["access_key_id"] = unquote(place.username or "")
            said["secret_access_key"] = unquote(place.password or "")
            name = unquote(place.path[1:])
            if place.port is not None or not place.hostname or "/" in name:
                raise ValueError
            said |= {name: _OPTIONS[name](value) for name, value in parse_qsl(place.query)}
        except KeyError as error:
            raise ConfigurationError(f"{_ADDRESS}; it has {error}, and may have {', '.join(_OPTIONS)}") from None
        except ValueError:  # whose message may have parts of the secret
            raise ConfigurationError(_ADDRESS) from None
        region, table = region or place.hostname, table or name
    if not region or not table:
        raise ConfigurationError(f"region and table must be given; {_ADDRESS}")
    endpoint_url = endpoint_url or said.get("endpoint_url", "")
    said.pop("endpoint_url", None)
    if endpoint_url and not endpoint_url.startswith(("http://", "https://")):
        raise ConfigurationError("endpoint_url begins with http:// or https://")
    try:
        given = {name: value for name, value in options.items() if value}
        return DynamoServer(region, table, endpoint_url, **{"timeout": 30.0, "max_connections": 50, **said, **given})
    except ValueError as error:
        raise ConfigurationError(f"{_ADDRESS}: {error}") from None
