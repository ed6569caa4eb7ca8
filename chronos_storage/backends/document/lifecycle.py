from __future__ import annotations

import time
from collections.abc import Iterable

from ...exceptions import ChronosError
from ...records import Health, Record
from ..arguments import of_any_kind
from .loading import LoadMethods
from .scanning import ScanMethods
from .work import retried


class LifecycleMethods(ScanMethods, LoadMethods):
    def load(self, records: Iterable[Record]) -> int:
        return self._load(list(of_any_kind(records)))

    @retried
    def _load(self, given: list[Record]) -> int:
        with self.work() as work:
            return self.load_into(work, given)

    def migrate(self) -> None:
        self._driver.prepare()

    def close(self) -> None:
        self._driver.close()

    def health(self) -> Health:
        backend = f"{type(self).__module__}.{type(self).__qualname__}"
        start = time.perf_counter()
        try:
            store = self._driver.describe()
        except (ChronosError, OSError) as error:
            return Health(backend=backend, problems=(str(error),))
        return Health(backend=backend, store=store, latency=time.perf_counter() - start)
