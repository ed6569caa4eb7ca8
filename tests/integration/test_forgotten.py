"""What a project may have forgotten: each error and check says what to do."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from django.urls import URLPattern, URLResolver
from pytest_django import Settings

from chronos_storage import queue, storages, vector_stores
from chronos_storage.exceptions import ConfigurationError

ROOT = Path(__file__).resolve().parents[2]

#: A project of its own: its apps and what isn't installed are given, its statements' errors and its checks printed.
PROJECT = """
import sys

absent, apps, tags, *statements = sys.argv[1:]
for name in absent.split():
    sys.modules[name] = None  # as if it were not installed
import django
from django.conf import settings
from django.core import checks

settings.configure(
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
    INSTALLED_APPS=["django.contrib.contenttypes", "django.contrib.auth", *apps.split()],
    ROOT_URLCONF="chronos_storage.api.urls",
    SECRET_KEY="x",
    USE_TZ=True,
)
django.setup()
for statement in statements:
    try:
        exec(statement)
        print("nothing")
    except Exception as error:
        print(f"{type(error).__name__}: {error}")
for message in checks.run_checks(tags=tags.split()) if tags else ():
    print(f"{message.id}: {message.msg} {message.hint}")
"""


def project(*statements: str, absent: str = "", apps: str = "", tags: str = "") -> list[str]:
    """What the project prints."""
    command = [sys.executable, "-W", "ignore", "-c", PROJECT, absent, apps, tags, *statements]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_a_missing_library_is_named_with_its_extra() -> None:
    vectors, api, postgres, check = project(
        "from chronos_storage import vector_store; vector_store.list_collections()",
        "import chronos_storage.api.urls",
        "from chronos_storage import connect; connect('postgres://host/name')",
        absent="numpy rest_framework psycopg psycopg2",
        apps="django.contrib.admin django.contrib.messages chronos_storage chronos_storage.vectors",
        tags="compatibility",
    )
    assert vectors.startswith("ConfigurationError: ")
    assert vectors.endswith("install chronos-storage[vectors]")
    assert api == "ConfigurationError: the REST API needs rest_framework: install chronos-storage[rest]"
    assert postgres == "ConfigurationError: a postgres:// store needs psycopg: install chronos-storage[postgres]"
    assert check == "chronos_vectors.E001: chronos_storage.vectors needs NumPy. Install chronos-storage[vectors]."


@pytest.mark.parametrize("absent", ["", "pgvector", "psycopg psycopg2"])
def test_vectors_on_sqlite_need_no_driver_of_postgresql(absent: str) -> None:
    """pgvector's field is the base of ours where it can be imported; migrations are the same with and without."""
    base, field, nothing, found, store = project(
        "from chronos_storage.vectors.fields import VectorField; raise Exception(VectorField.__base__.__module__)",
        "raise Exception(VectorField().deconstruct()[1:])",
        "from django.core.management import call_command; call_command('migrate', 'chronos_vectors', verbosity=0);"
        " call_command('makemigrations', check_changes=True, dry_run=True, verbosity=0)",
        "from chronos_storage import vector_store as vectors; from chronos_storage.records import Embedding;"
        " vectors.create_collection('c', 2);"
        " vectors.upsert('c', [Embedding(id='far', vector=[0, 1]), Embedding(id='near', vector=[1, 0])]);"
        " raise Exception([each.id for each in vectors.search('c', [1, 0])], vectors.get('c', 'near').vector)",
        "import chronos_storage.vectors.pgvector",
        absent=absent,
        apps="chronos_storage chronos_storage.vectors",
    )
    assert base == f"Exception: {'django.db.models.fields' if absent else 'pgvector.django.vector'}"
    assert field == "Exception: ('chronos_storage.vectors.fields.VectorField', [], {})"
    assert nothing == "nothing"
    assert found == "Exception: (['near', 'far'], array('f', [1.0, 0.0]))"
    assert store.partition(":")[0] == ("ModuleNotFoundError" if absent else "nothing")


def test_a_missing_app_is_named() -> None:
    lines = project(
        "from chronos_storage import storage; storage.list_sessions()",
        "from chronos_storage.models import Event",
        "from chronos_storage import queue; queue.publish('topic', 1)",
    )
    assert set(lines[:3]) == {
        'ConfigurationError: "chronos_storage" is not in INSTALLED_APPS: add it there, and migrate'
    }


def test_a_missing_app_of_vectors_or_of_the_api_is_named() -> None:
    vectors, keys, *checks = project(
        "from chronos_storage import vector_store; vector_store.list_collections()",
        "from chronos_storage.api.keys.models import ApiKey",
        apps="chronos_storage",
        tags="urls",
    )
    missing = '"chronos_storage.vectors" is not in INSTALLED_APPS: add it there, and migrate'
    assert vectors == f"ConfigurationError: {missing}"
    assert keys == f"ConfigurationError: {missing}".replace("vectors", "api.keys")
    assert [line.partition(" Add")[0] for line in checks if line.startswith("chronos_storage.E008")] == [
        f'chronos_storage.E008: The REST API is mounted, and "{name}" is not in INSTALLED_APPS.'
        for name in ("rest_framework", "django_filters")
    ]


def test_the_api_without_a_database_for_its_users_says_so() -> None:
    engine = "connections.settings['default']['ENGINE'] = 'django.db.backends.dummy'"
    anew = "connections['default'] = connections.create_connection('default')"
    nothing, *checks = project(
        f"from django.db import connections; {engine}; {anew}",
        apps="chronos_storage rest_framework django_filters",
        tags="urls",
    )
    assert nothing == "nothing"
    [line] = [line for line in checks if line.startswith("chronos_storage.E010")]
    assert "are in the Django database 'default', wherever the storage is, and DATABASES has none of that name" in line


def test_an_unknown_using_is_an_error_that_names_the_known(settings: Settings) -> None:
    entry = {"OPTIONS": {"USING": "elsewhere"}}
    settings.CHRONOS_STORAGE = {
        "STORAGES": {"default": {"BACKEND": "chronos_storage.backends.orm.OrmBackend", **entry}},
        "VECTOR_STORES": {"default": {"BACKEND": "chronos_storage.vectors.stores.database_store", **entry}},
        "QUEUE": entry,
    }
    asked: list[Any] = [
        lambda: storages["default"],
        lambda: vector_stores["default"],
        lambda: queue.publish("topic", 1),
    ]
    for ask in asked:
        with pytest.raises(ConfigurationError, match=r"DATABASES has no 'elsewhere'; it has default"):
            ask()


def test_the_page_s_urls_are_complete() -> None:
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "api.md").read_text(encoding="utf-8"), re.DOTALL)
    [example] = [block for block in blocks if "chronos_storage.api.urls" in block]
    names: dict[str, Any] = {"urlpatterns": []}
    exec(example, names)
    [mounted] = names["urlpatterns"]
    assert isinstance(mounted, URLResolver)
    assert all(isinstance(pattern, URLPattern) for pattern in mounted.url_patterns)
