"""Settings of the tests, for whichever databases stand in the environment; `tests.servers` puts them there.

Without any, as for a type checker or a management command, it is SQLite in memory.
"""

from __future__ import annotations

import os
import sys
from importlib.util import LazyLoader, find_spec, module_from_spec
from types import ModuleType
from typing import Any

import dj_database_url


def _imported_with_its_first_use(name: str) -> ModuleType:
    """A module that processes which never ask it for anything, as most that tests start, need not wait for."""
    spec = find_spec(name)
    assert spec
    assert spec.loader
    spec.loader = LazyLoader(spec.loader)
    module = sys.modules[name] = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


# As its install_as_MySQLdb does.
sys.modules["MySQLdb"] = sys.modules.get("pymysql") or _imported_with_its_first_use("pymysql")

SQLITE_OPTIONS: dict[str, Any] = {
    "timeout": 30,
    "transaction_mode": "IMMEDIATE",
    "init_command": "PRAGMA journal_mode = WAL; PRAGMA synchronous = OFF",  # see tests.servers on what this keeps
}


def _sqlite() -> dict[str, Any]:
    url = os.environ.get("TEST_SQLITE_URL")
    if not url:
        return {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}
    config: dict[str, Any] = {**dj_database_url.parse(url), "OPTIONS": SQLITE_OPTIONS}
    # a file, as threads and processes cannot share a database in memory
    return config | {"TEST": {"NAME": f"{config['NAME']}.test"}}


DATABASES: dict[str, Any] = {"default": _sqlite()}
for _alias in ("postgres", "postgres15", "mariadb", "citus"):
    if _url := os.environ.get(f"TEST_{_alias.upper()}_URL"):
        # each can be set up without the others, also where a run has no test of "default"
        DATABASES[_alias] = {**dj_database_url.parse(_url), "TEST": {"DEPENDENCIES": []}}
if "citus" in DATABASES:
    DATABASES["citus"]["ENGINE"] = "tests.engine"
if "mariadb" in DATABASES:
    # or each connection reads the system's certificates, for a server that has none
    DATABASES["mariadb"]["OPTIONS"] = {"ssl_disabled": True}

INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "tests.flushing",  # before the one whose command it takes the place of
    "chronos_storage",
    "chronos_storage.vectors",
    "rest_framework",
    "rest_framework.authtoken",
    "rest_framework_api_key",
    "chronos_storage.api.keys",
    "django_filters",
    "drf_spectacular",
    # which needs LangGraph, and so the environment of the frameworks
    *(["chronos_storage.integrations.langgraph"] if find_spec("langgraph") else []),
]
MIDDLEWARE = [
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
]
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]
ROOT_URLCONF = "tests.urls"
STATIC_URL = "static/"
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.InMemoryStorage"},
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
}
SECRET_KEY = "only for tests"
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
USE_TZ = True

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "rest_framework.authentication.SessionAuthentication",
        "rest_framework.authentication.TokenAuthentication",
    ],
}

SIMPLE_JWT = {"SIGNING_KEY": "as long as it has to be for SHA-256"}

#: Whether the stores are given no alias, as in `tests.otherwise`.
ROUTED = False
# PostgreSQL 15 is there without pgvector, as many servers are.
DATABASE_ROUTERS = ["tests.routers.VectorsElsewhere"]
