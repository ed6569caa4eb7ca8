"""What a project may have forgotten: an optional library, by the extra of this package that installs it, or an app."""

from __future__ import annotations

from importlib.util import find_spec

from django.apps import apps

from .exceptions import ConfigurationError

_EXTRAS = {
    "boto3": "dynamodb",
    "botocore": "dynamodb",
    "cryptography": "anchors",
    "django_filters": "rest",
    "django_redis": "redis",
    "drf_spectacular": "rest",
    "httpx": "weaviate,pinecone",
    "markdown_it": "admin",
    "nh3": "admin",
    "health_check": "health",
    "numpy": "vectors",
    "pgvector": "vectors",
    "opentelemetry": "opentelemetry",
    "psycopg": "postgres",
    "pymilvus": "milvus",
    "pytest": "test",
    "qdrant_client": "qdrant",
    "pymongo": "mongodb",
    "redis": "redis",
    "storages": "s3",
    "zstandard": "zstd",
    "rest_framework": "rest",
    "rest_framework_api_key": "keys",
}


def require(what: str, *libraries: str) -> None:
    """See that libraries are installed.

    Raises:
        ConfigurationError: one isn't; the message says what needs it and what to install.
    """
    for library in libraries:
        if find_spec(library) is None:
            raise ConfigurationError(f"{what} needs {library}: install chronos-storage[{_EXTRAS[library]}]")


def require_app(name: str) -> None:
    """See that an app is installed, before its models are defined.

    Raises:
        ConfigurationError: it isn't.
    """
    if not apps.is_installed(name):
        raise ConfigurationError(f'"{name}" is not in INSTALLED_APPS: add it there, and migrate')


def advice(error: ImportError) -> str:
    """What to install, to append to the message of a failed import; empty where that is not known."""
    extra = _EXTRAS.get((error.name or "").partition(".")[0])
    return f": install chronos-storage[{extra}]" if extra else ""
