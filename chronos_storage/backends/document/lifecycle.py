from __future__ import annotations

import time
from collections.abc import Iterable
from functools import partial

from ...exceptions import ChronosError
from ...records import Health, Record
from .loading import LoadMethods
from .scanning import ScanMethods


class LifecycleMethods(ScanMethods, LoadMethods):
    def load(self, records: Iterable[Record]) -> int:
        return self.run(partial(self._load, list(records)))

    def _load(self, given: list[Record]) -> int:
        with self.work() as work:
            return self.load_into(work, given)

    def migrate(self) -> None:
        self.driver.prepare()

    def close(self) -> None:
        self.driver.close()

    def health(self) -> Health:
        backend = f"{type(self).__module__}.{type(self).__qualname__}"
        start = time.perf_counter()
        try:
            store = self.driver.describe()
        except (ChronosError, OSError) as error:
            return Health(backend=backend, problems=(str(error),))
        return Health(backend=backend, store=store, latency=time.perf_counter() - start)
