"""Settings of the demo project. The environment decides what differs from one place to the next:

DATABASE_URL          where to store; without it a SQLite file in var/
DJANGO_SECRET_KEY     without it a key in var/ that is made on first use
DJANGO_ALLOWED_HOSTS  names besides localhost, separated by commas
DJANGO_HTTPS=1        the site is behind HTTPS: cookies and redirects insist on it
DJANGO_DEBUG=1        error pages with details: on a machine of your own only
"""

from __future__ import annotations

import os
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import dj_database_url

from . import secret_key

BASE_DIR = Path(__file__).resolve().parent.parent
VAR_DIR = BASE_DIR / "var"

DEBUG = os.environ.get("DJANGO_DEBUG") == "1"
SECRET_KEY = os.environ.get("DJANGO_SECRET_KEY") or secret_key.read_or_make(VAR_DIR / "secret_key")
ALLOWED_HOSTS = ["localhost", "127.0.0.1", "[::1]"]
ALLOWED_HOSTS += [host.strip() for host in os.environ.get("DJANGO_ALLOWED_HOSTS", "").split(",") if host.strip()]

HTTPS = os.environ.get("DJANGO_HTTPS") == "1"
SECURE_SSL_REDIRECT = SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = HTTPS
SECURE_HSTS_SECONDS = 30 * 24 * 3600 if HTTPS else 0

INSTALLED_APPS = [
    "chronos_storage",
    "chronos_storage.vectors",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    # The REST API: its pages to look around in, users' tokens, and the files of its documentation.
    "rest_framework",
    "rest_framework.authtoken",
    "django_filters",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    # Where LangGraph is installed, as in the environment of the frameworks.
    *(["chronos_storage.integrations.langgraph"] if find_spec("langgraph") else []),
]

# Each event of the ledger is published, so that a session can be followed as it goes on.
CHRONOS_STORAGE: dict[str, dict[str, Any]] = {
    "QUEUE": {"PUBLISH_EVENTS": True},
    "ARTIFACTS": {"STORAGE": "artifacts"},
}
# Where no URL leads to.
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
    "artifacts": {
        "BACKEND": "django.core.files.storage.FileSystemStorage",
        "OPTIONS": {"location": VAR_DIR / "artifacts"},
    },
}

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]

ROOT_URLCONF = "project.urls"
ASGI_APPLICATION = "project.asgi.application"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]


def _database(url: str) -> dict[str, Any]:
    database: dict[str, Any]
    if url:
        database = dict(dj_database_url.parse(url))
    else:
        VAR_DIR.mkdir(exist_ok=True)
        database = {"ENGINE": "django.db.backends.sqlite3", "NAME": VAR_DIR / "db.sqlite3"}
    if database["ENGINE"] == "django.db.backends.sqlite3":
        # Readers and the writer don't wait for each other, and writers take turns from their first statement on.
        ours = {"init_command": "PRAGMA journal_mode=WAL", "transaction_mode": "IMMEDIATE", "timeout": 30}
        database["OPTIONS"] = ours | database.get("OPTIONS", {})
    elif database["ENGINE"] == "django.db.backends.postgresql":
        # Under ASGI each request has a thread of its own, and so a connection: as many as come at once, without this.
        ours = {"pool": {"min_size": 1, "max_size": 10, "timeout": 60}}
        database["OPTIONS"] = ours | database.get("OPTIONS", {})
    elif database["ENGINE"] == "django.db.backends.mysql" and find_spec("MySQLdb") is None:
        import pymysql

        pymysql.install_as_MySQLdb()
    return database


DATABASES = {"default": _database(os.environ.get("DATABASE_URL", ""))}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in (
        "UserAttributeSimilarityValidator",
        "MinimumLengthValidator",
        "CommonPasswordValidator",
        "NumericPasswordValidator",
    )
]

TIME_ZONE = "UTC"
USE_TZ = True
STATIC_URL = "static/"

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "rest_framework.authentication.SessionAuthentication",
        "rest_framework.authentication.TokenAuthentication",
    ],
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "DEFAULT_THROTTLE_RATES": {
        "chronos_read": "6000/min",
        "chronos_write": "6000/min",
        "chronos_search": "600/min",
        "chronos_export": "60/min",
    },
}
SPECTACULAR_SETTINGS = {
    # Its own files, not another host's.
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "SERVE_PERMISSIONS": ["rest_framework.permissions.IsAuthenticated"],
}

# Django alone would show a failing page's traceback only with DEBUG on.
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "handlers": {"console": {"class": "logging.StreamHandler"}},
    "loggers": {"django": {"handlers": ["console"], "level": "WARNING"}},
}
