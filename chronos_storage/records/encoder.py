from __future__ import annotations

import dataclasses
import json
from array import array
from datetime import datetime
from decimal import Decimal
from typing import Any


class RecordEncoder(json.JSONEncoder):
    """Writes records as JSON objects of their fields: ``json.dumps(record, cls=RecordEncoder)``.

    Times are ISO 8601, costs texts, vectors lists. What else a record holds is JSON already.
    """

    def default(self, o: Any) -> Any:
        if dataclasses.is_dataclass(o) and not isinstance(o, type):
            return {field.name: getattr(o, field.name) for field in dataclasses.fields(o)}
        if isinstance(o, datetime):
            return o.isoformat()
        if isinstance(o, Decimal):
            return str(o)
        return o.tolist() if isinstance(o, array) else super().default(o)
