"""A site of its own in another process: asks for two addresses by turns, and answers how long each took.

Each line has a method, the two addresses, how many times each is asked for, and a body; the answer, a line of JSON, has
for each address the seconds, those of the processor, and the number of queries of the last request.
"""

from __future__ import annotations

import gc
import json
import sys
import time
from typing import Any

import django
from django.core.management import call_command


def main() -> None:
    """Serve the lines of standard input; the first, of our own, is the user's token and primary key."""
    django.setup()
    from django.conf import settings
    from django.contrib.auth.models import User
    from django.core.wsgi import get_wsgi_application
    from rest_framework.authtoken.models import Token

    settings.ALLOWED_HOSTS.append("testserver")
    settings.ROOT_URLCONF = "benchmarks.by_hand"
    # More would be asked for than they allow.
    settings.REST_FRAMEWORK = {**settings.REST_FRAMEWORK, "DEFAULT_THROTTLE_RATES": {}}
    call_command("migrate", verbosity=0)
    token = Token.objects.create(user=User.objects.create_user("ada"))
    print(json.dumps(token.user_id), flush=True)
    asker = _Asker(get_wsgi_application(), token.key)
    for line in sys.stdin:
        method, *paths, times, body = line.rstrip("\n").split(" ", 4)
        print(json.dumps(asker.compared(method, paths, int(times), body.encode())), flush=True)


class _Asker:
    """Asks the site as a server does that has read a request, and keeps nothing in between."""

    def __init__(self, application: Any, token: str) -> None:
        from django.test import RequestFactory

        self._application = application
        headers = {"Authorization": f"Token {token}", "Accept": "application/json"}
        self._factory = RequestFactory(headers=headers)

    def compared(self, method: str, paths: list[str], times: int, body: bytes) -> list[tuple[float, float, int]]:
        """What each address took."""
        sums = [[0.0, 0.0] for _ in paths]
        gc.collect()
        gc.disable()  # else it would be by chance whose request pays for it
        for turn in range(times):
            order = list(enumerate(paths))
            for place, path in order if turn % 2 else order[::-1]:
                for at, taken in enumerate(self._ask(method, path, body)):
                    sums[place][at] += taken
        gc.enable()
        return [(*each, self._queries(method, path, body)) for each, path in zip(sums, paths, strict=True)]  # type: ignore[misc]

    def _ask(self, method: str, path: str, body: bytes) -> tuple[float, float]:
        environ = self._factory.generic(method, path, body, "application/json").environ
        statuses: list[str] = []
        start, processor = time.perf_counter(), time.process_time()
        response = self._application(environ, lambda status, headers: statuses.append(status))
        content = b"".join(response)
        response.close()
        taken = time.perf_counter() - start, time.process_time() - processor
        assert statuses[0][:3] in ("200", "201"), f"{path}: {statuses[0]} {content[:1000]!r}"
        return taken

    def _queries(self, method: str, path: str, body: bytes) -> int:
        from django.db import connection
        from django.test.utils import CaptureQueriesContext

        with CaptureQueriesContext(connection) as captured:
            self._ask(method, path, body)
        return len(captured)


if __name__ == "__main__":
    main()
