"""A site of its own in another process: answers each address it is given with how the page came out.

An address on a line of its own is asked for once; the answer, a line of JSON, has the status and the size of the page,
and, where the line begins with ``count``, the number of queries it took.
"""

from __future__ import annotations

import json
import sys

import django
from django.core.management import call_command


def main() -> None:
    """Serve the lines of standard input."""
    django.setup()
    from django.conf import settings
    from django.contrib.auth.models import User
    from django.db import connection
    from django.test import Client
    from django.test.utils import CaptureQueriesContext

    settings.ALLOWED_HOSTS.append("testserver")
    call_command("migrate", verbosity=0)
    client = Client()
    client.force_login(User.objects.filter(is_superuser=True).first() or User.objects.create_superuser("operator"))
    for line in sys.stdin:
        command, _, address = line.strip().partition(" ")
        queries = None
        if command == "count":
            with CaptureQueriesContext(connection) as captured:
                response = client.get(address)
            queries = len(captured)
        else:
            response = client.get(address)
        print(json.dumps([response.status_code, len(response.content), queries]), flush=True)


if __name__ == "__main__":
    main()
