"""Moto's DynamoDB as a server on 127.0.0.1: ``python dynamodb_server.py PORT``.

It is moto's own code, but for what a test of many writers can't do without:

- One request is served after the other: moto takes no lock, so that of transactions that are made at the same moment
  some are lost (60 of 80 increments by four threads were there at the end).
- Before each part of a transaction moto copies the table, to have it back where that is cancelled, and for a query it
  sorts all items of the table and copies those that it has found. Here it keeps what the transaction is about, and
  sorts those that the query is for.
- Moto remembers every item that ever was, by gigabytes; here it forgets.
- Most of its time goes into finding out which of Amazon's services is meant, the attributes of items in DynamoDB's
  model, which are JSON already, the size of an item for each of its attributes, and a condition three times.
"""

from __future__ import annotations

import base64
import copy
import json
import re
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace
from typing import Any

from moto.core.common_models import BaseModel
from moto.core.exceptions import ServiceException
from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.core.responses import ActionResult
from moto.dynamodb.comparisons import ConditionExpressionParser
from moto.dynamodb.exceptions import ItemSizeTooLarge
from moto.dynamodb.models import DynamoDBBackend
from moto.dynamodb.models import table as tables
from moto.dynamodb.models.dynamo_type import DynamoType, Item, LimitedSizeDict
from moto.dynamodb.models.table import Table
from moto.dynamodb.responses import DynamoHandler, DynamoResult
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.exceptions import HTTPException
from werkzeug.test import Client

_lock = threading.Lock()
_update_item, _query, _all_items = DynamoDBBackend.update_item, Table.query, Table.all_items
_transact, _execute_result = DynamoDBBackend.transact_write_items, DynamoResult.execute_result
_parse, _project = ConditionExpressionParser.parse, Item.project
_ASSIGNMENTS = re.compile(r"SET #?\w+ = :\w+(, #?\w+ = :\w+)*")
#: Bytes of an item from which moto refuses it.
_LARGEST = 405_000
#: What is asked of items, by what the request calls it, and the method that does it.
_OF_ITEMS = {
    "BatchGetItem": "batch_get_item",
    "BatchWriteItem": "batch_write_item",
    "GetItem": "get_item",
    "Query": "query",
    "TransactWriteItems": "transact_write_items",
    "UpdateItem": "update_item",
}
_JSON = "application/x-amz-json-1.0"
#: Conditions by their text, and what is named in them.
_conditions: dict[str, Any] = {}
_now = SimpleNamespace(is_transaction=False)


def _forgotten(kind: type[Any], *_: Any, **__: Any) -> Any:
    return object.__new__(kind)


def _transacted(backend: Any, items: Any) -> None:
    before = []
    for operation in (operation for item in items for operation in item.values()):
        if (table := backend.tables.get(operation["TableName"])) is not None:
            place, sort = backend.get_keys_value(table, operation.get("Key") or operation["Item"])
            before.append((table.items[place], sort, table.items[place].get(sort)))
    _now.is_transaction = True
    try:
        _transact(backend, items)
    except BaseException:
        for there, sort, was in before:
            there.pop(sort, None)
            if was is not None:
                there[sort] = was
        raise
    finally:
        _now.is_transaction = False


def _not_copied(value: Any, _: Any = None) -> Any:
    return value


def _updated(
    backend: Any, table_name: str, key: dict[str, Any], update_expression: str, *args: Any, **more: Any
) -> Any:
    table = backend.get_table(table_name)
    place = backend.get_keys_value(table, key)
    item = copy.deepcopy(table.get_item(*place))
    if item is not None:
        table.items[place[0]][place[1]] = item
    if not _now.is_transaction or not _ASSIGNMENTS.fullmatch(update_expression):
        return _update_item(backend, table_name, key, update_expression, *args, **more)
    # In a transaction, where the condition was asked just now, values are set without two trees of them.
    item = item or table.put_item(dict(key))
    for assignment in update_expression.removeprefix("SET ").split(", "):
        name, value = assignment.split(" = ")
        name = (more["expression_attribute_names"] or {}).get(name, name)
        item.attrs[name] = DynamoType(more["expression_attribute_values"][value])
    return item


def _found(table: Any, hash_key: DynamoType, *args: Any, **options: Any) -> Any:
    table.asked_for = hash_key
    try:
        return _query(table, hash_key, *args, **options)
    finally:
        table.asked_for = None


def _of_query(table: Any) -> Any:
    asked_for = getattr(table, "asked_for", None)
    return _all_items(table) if asked_for is None else list(table.items.get(asked_for, {}).values())


def _made(item: Any, hash_key: DynamoType, range_key: DynamoType | None, attrs: dict[str, Any]) -> None:
    item.hash_key, item.range_key, item.attrs = hash_key, range_key, LimitedSizeDict()
    for name, value in attrs.items():
        dict.__setitem__(item.attrs, name, DynamoType(value))
    if item.size() > _LARGEST:
        raise ItemSizeTooLarge


def _projected(item: Any, paths: list[list[str]]) -> Any:
    if any(len(path) > 1 for path in paths):
        return _project(item, paths)
    names = {path[0] for path in paths}
    return Item(item.hash_key, item.range_key, {name: item.attrs[name] for name in names & item.attrs.keys()})


def _parsed(parser: Any) -> Any:
    if not parser.condition_expression:
        return _parse(parser)
    key = repr((parser.condition_expression, parser.expression_attribute_names, parser.expression_attribute_values))
    if key not in _conditions:
        if len(_conditions) > 1000:
            _conditions.clear()
        _conditions[key] = _parse(parser), parser.expr_attr_names_found, parser.expr_attr_values_found
    condition, names, values = _conditions[key]
    parser.expr_attr_names_found, parser.expr_attr_values_found = list(names), list(values)
    return condition


def _written(result: Any, context: Any) -> Any:
    if "Table" in context.operation_model.name or "Time" in context.operation_model.name:
        return _execute_result(result, context)
    body = json.dumps(result.result, default=lambda data: base64.b64encode(data).decode())
    return 200, {"Content-Type": _JSON}, body


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"  # whose connections stay open, which those of moto's own server do not
    disable_nagle_algorithm = True
    wbufsize = -1

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        method = _OF_ITEMS.get(self.headers["X-Amz-Target"].partition(".")[2])
        with _lock:
            if method is None:
                found = _application.post("/", data=body, headers=list(self.headers.items()))
                status, headers, text = found.status_code, dict(found.headers), found.get_data()
            else:
                status, headers, text = _asked(method, self.headers, json.loads(body, object_hook=_attribute))
        answer: Any = text.encode() if hasattr(text, "encode") else text
        self.send_response(status)
        for name, value in {**headers, "Content-Length": len(answer)}.items():
            self.send_header(name, str(value))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_: Any) -> None:
        pass


class _Server(ThreadingHTTPServer):
    request_queue_size = 128


_application = Client(DomainDispatcherApplication(create_backend_app))


def _asked(method: str, headers: Any, body: Any) -> Any:
    """What moto answers to who asks for items, which it is not searched for among Amazon's services for."""
    handler: Any = DynamoHandler()
    handler.headers = headers
    handler.querystring, handler.response_headers = {}, {}
    handler.region = headers["Authorization"].split("/")[2]
    handler.current_account = DEFAULT_ACCOUNT_ID
    handler.body = handler.params = body
    try:
        result = getattr(handler, method)()
    except ServiceException as error:
        result = ActionResult(error)
    except HTTPException as error:
        return error.code, dict(error.get_headers()), error.description
    return handler.serialized(result)


def _attribute(value: dict[str, Any]) -> dict[str, Any]:
    data = value.get("B") if len(value) == 1 else None
    return value if data is None else {"B": base64.b64decode(data)}


#: What is another here than moto's own.
_CHANGED: tuple[tuple[Any, str, Any], ...] = (
    (BaseModel, "__new__", staticmethod(_forgotten)),
    (Table, "__deepcopy__", _not_copied),
    (Table, "query", _found),
    (Table, "all_items", _of_query),
    (tables, "copy", SimpleNamespace(deepcopy=_not_copied, copy=copy.copy)),
    (Item, "__init__", _made),
    (Item, "project", _projected),
    (ConditionExpressionParser, "parse", _parsed),
    (DynamoDBBackend, "update_item", _updated),
    (DynamoDBBackend, "transact_write_items", _transacted),
    (DynamoResult, "execute_result", _written),
)

if __name__ == "__main__":
    for changed, name, function in _CHANGED:
        setattr(changed, name, function)
    _Server(("127.0.0.1", int(sys.argv[1])), _Handler).serve_forever()
