"""The engines that keep documents, each with what its client alone does for the same durable work.

An engine is added by a `Bare` over its client and a function that gives both, for ENGINES.
"""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

from chronos_storage import connect
from chronos_storage.backends.document import Document, Key
from chronos_storage.facade import Storage


class Bare(ABC):
    """A client, by which the documents of a storage are written and read as one would by hand."""

    @abstractmethod
    def write(self, documents: Sequence[Document]) -> None:
        """Store them with their places in the indexes, all or none, over what is there; durable when it returns."""

    @abstractmethod
    def fetch(self, keys: Sequence[Key]) -> list[str]:
        """The texts under these keys."""

    @abstractmethod
    def page(self, partition: Key, limit: int, *, reverse: bool = False) -> list[str]:
        """The texts of the first documents of a partition."""


@dataclass(frozen=True, slots=True)
class Engine:
    """A server of the benchmark's own, which waits for the disk.

    Attributes:
        description: what runs, in words, and how durable it is.
    """

    description: str
    storage: Storage
    bare: Bare


class _Redis(Bare):
    def __init__(self, client: Any) -> None:
        self._client = client

    def write(self, documents: Sequence[Document]) -> None:
        pipeline = self._client.pipeline(transaction=True)
        for document in documents:
            name = "\x00".join(document.key)
            pipeline.set(name, document.body)
            for entry in document.entries:
                pipeline.zadd("i:" + "\x00".join(entry.partition), {f"{entry.sort}\x00{name}": 0})
        pipeline.execute()

    def fetch(self, keys: Sequence[Key]) -> list[str]:
        return self._client.mget(["\x00".join(key) for key in keys])  # type: ignore[no-any-return]

    def page(self, partition: Key, limit: int, *, reverse: bool = False) -> list[str]:
        index = "i:" + "\x00".join(partition)
        members = self._client.zrange(index, 0, limit - 1, desc=reverse)
        return self._client.mget([member.split("\x00", 1)[1] for member in members])  # type: ignore[no-any-return]


@contextmanager
def _redis() -> Iterator[Engine | None]:
    import redis

    from tests import servers

    server = servers.own_redis("--appendonly", "yes", "--appendfsync", "always")
    if server is None:
        yield None
        return
    server.start()
    try:
        client = redis.Redis.from_url(server.url, decode_responses=True)
        with closing(connect(server.url, migrate=True)) as storage, closing(client):
            yield Engine(f"{storage.health().store}, appendfsync always", storage, _Redis(client))
    finally:
        server.stop()


class _MongoDB(Bare):
    """A field for each place of a document, with an index, as who knows his documents has them."""

    #: Places that a document has at most.
    _PLACES = 9

    def __init__(self, client: Any) -> None:
        from pymongo import ReplaceOne
        from pymongo.write_concern import WriteConcern

        self._client, self._replace = client, ReplaceOne
        self._durable = WriteConcern("majority", j=True)
        self._collection = client.get_database("bare", write_concern=self._durable).storage
        for number in range(self._PLACES):
            self._collection.create_index([(f"p{number}", 1), (f"s{number}", 1)], sparse=True)

    def write(self, documents: Sequence[Document]) -> None:
        writes = []
        for document in documents:
            fields = {"_id": "\x00".join(document.key), "body": document.body}
            for number, entry in enumerate(document.entries):
                fields |= {f"p{number}": "\x00".join(entry.partition), f"s{number}": entry.sort}
            writes.append(self._replace({"_id": fields["_id"]}, fields, upsert=True))
        if len(writes) == 1:
            self._collection.bulk_write(writes)
            return
        with self._client.start_session() as session, session.start_transaction(write_concern=self._durable):
            self._collection.bulk_write(writes, session=session)

    def fetch(self, keys: Sequence[Key]) -> list[str]:
        found = self._collection.find({"_id": {"$in": ["\x00".join(key) for key in keys]}})
        return [each["body"] for each in found]

    def page(self, partition: Key, limit: int, *, reverse: bool = False) -> list[str]:
        found = self._collection.find({"p0": "\x00".join(partition)}, limit=limit).sort("s0", -1 if reverse else 1)
        return [each["body"] for each in found]


@contextmanager
def _mongodb() -> Iterator[Engine | None]:
    from pymongo import MongoClient

    from tests import servers

    server = servers.own_mongodb()
    if server is None:
        yield None
        return
    server.start()
    try:
        client: MongoClient[Any] = MongoClient(server.url)
        with closing(connect(server.url, migrate=True)) as storage, client:
            yield Engine(f"{storage.health().store}, w: majority, j: true", storage, _MongoDB(client))
    finally:
        server.stop()


class _DynamoDB(Bare):
    """An item for a document and for each of its places, the first of which has the text too."""

    _TABLE = "bare"

    def __init__(self, client: Any) -> None:
        self._client = client
        client.create_table(
            TableName=self._TABLE,
            KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
            AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name in ("pk", "sk")],
            BillingMode="PAY_PER_REQUEST",
        )

    def write(self, documents: Sequence[Document]) -> None:
        items = []
        for document in documents:
            key, body = "\x00".join(document.key), {"S": document.body}
            items.append({"pk": {"S": key}, "sk": {"S": "-"}, "body": body})
            for number, entry in enumerate(document.entries):
                place = {"pk": {"S": "\x00".join(entry.partition)}, "sk": {"S": entry.sort or "-"}, "key": {"S": key}}
                items.append(place if number else {**place, "body": body})
        for start in range(0, len(items), 100):
            puts = [{"Put": {"TableName": self._TABLE, "Item": item}} for item in items[start : start + 100]]
            self._client.transact_write_items(TransactItems=puts)

    def fetch(self, keys: Sequence[Key]) -> list[str]:
        wanted = [{"pk": {"S": "\x00".join(key)}, "sk": {"S": "-"}} for key in keys]
        answer = self._client.batch_get_item(RequestItems={self._TABLE: {"Keys": wanted, "ConsistentRead": True}})
        return [item["body"]["S"] for item in answer["Responses"][self._TABLE]]

    def page(self, partition: Key, limit: int, *, reverse: bool = False) -> list[str]:
        pages = self._client.get_paginator("query").paginate(
            TableName=self._TABLE,
            KeyConditionExpression="pk = :p",
            ExpressionAttributeValues={":p": {"S": "\x00".join(partition)}},
            ConsistentRead=True,
            ScanIndexForward=not reverse,
            PaginationConfig={"MaxItems": limit},
        )
        return [item["body"]["S"] for page in pages for item in page["Items"]]


@contextmanager
def _dynamodb() -> Iterator[Engine | None]:
    import boto3

    from tests import servers

    server = servers.own_dynamodb()
    if server is None:
        yield None
        return
    server.start()
    try:
        endpoint = parse_qs(urlsplit(server.url).query)["endpoint_url"][0]
        client = boto3.client(
            "dynamodb",
            region_name="us-east-1",
            endpoint_url=endpoint,
            aws_access_key_id="test",
            aws_secret_access_key="test",
        )
        with closing(connect(server.url, migrate=True)) as storage, closing(client):
            yield Engine("DynamoDB as moto has it, in memory", storage, _DynamoDB(client))
    finally:
        server.stop()


class _Files(Bare):
    """A file a document, in the folder of its first place, put there by renaming; the keys' paths are in memory."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._paths: dict[Key, str] = {}

    def write(self, documents: Sequence[Document]) -> None:
        folders = set()
        for document in documents:
            partition, sort = document.entries[0] if document.entries else (document.key[:1], "/".join(document.key))
            folder = self._folder(partition)
            folders.add(folder)
            path = self._paths[document.key] = f"{folder}/{quote(sort, safe='') or '%'}"
            file = os.open(f"{path}.tmp", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            os.write(file, document.body.encode())
            os.fsync(file)
            os.close(file)
            os.replace(f"{path}.tmp", path)  # noqa: PTH105 - as one does who is in a hurry
        for folder in folders:
            file = os.open(folder, os.O_RDONLY)
            os.fsync(file)
            os.close(file)

    def fetch(self, keys: Sequence[Key]) -> list[str]:
        return [Path(self._paths[key]).read_text(encoding="utf-8") for key in keys]

    def page(self, partition: Key, limit: int, *, reverse: bool = False) -> list[str]:
        folder = self._folder(partition)
        names = sorted(os.listdir(folder), reverse=reverse)[:limit]  # noqa: PTH208
        return [Path(folder, name).read_text(encoding="utf-8") for name in names]

    def _folder(self, partition: Key) -> str:
        folder = self._root / quote("-".join(partition), safe="")
        folder.mkdir(exist_ok=True)
        return str(folder)


@contextmanager
def _files() -> Iterator[Engine | None]:
    # Not in the system's folder for what is temporary, which may be in memory.
    with TemporaryDirectory(dir=".") as folder:
        bare = Path(folder, "bare")
        bare.mkdir()
        with closing(connect(Path(folder, "data").absolute().as_uri(), migrate=True)) as storage:
            yield Engine(f"{storage.health().store}, fsync", storage, _Files(bare))


ENGINES: dict[str, Callable[[], AbstractContextManager[Engine | None]]] = {
    "files": _files,
    "redis": _redis,
    "mongodb": _mongodb,
    "dynamodb": _dynamodb,
}
