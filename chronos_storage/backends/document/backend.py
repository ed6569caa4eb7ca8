from __future__ import annotations

from .chains import ChainMethods
from .fences import FenceMethods
from .lifecycle import LifecycleMethods
from .series import SeriesMethods
from .sessions import SessionMethods
from .upserts import UpsertMethods


class DocumentBackend(SessionMethods, UpsertMethods, SeriesMethods, FenceMethods, ChainMethods, LifecycleMethods):
    """Records over documents. It holds no state but the driver, so threads and tasks may share one.

    The ledger's rows are removed by the purge permit and with their session alone. There are no triggers here: whoever
    changes documents by other ways than this backend is found by the chains, as on every backend.

    Args:
        driver: what keeps the documents.
    """
