from __future__ import annotations

from .chains import ChainMethods
from .fences import FenceMethods
from .lifecycle import LifecycleMethods
from .reading import ReadingMethods
from .series import SeriesMethods
from .sessions import SessionMethods
from .upserts import UpsertMethods


class OrmBackend(
    ReadingMethods, UpsertMethods, SeriesMethods, SessionMethods, FenceMethods, ChainMethods, LifecycleMethods
):
    """Records on one database alias. It holds no connection and no state, so threads and tasks may share one.

    Args:
        using: the alias; without it the host's database routers decide, by `db_for_write`.
    """
