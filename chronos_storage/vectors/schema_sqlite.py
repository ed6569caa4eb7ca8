"""SQLite: the words of the contents, in an FTS5 table that triggers keep up to date."""

from __future__ import annotations

from django.db import transaction
from django.db.backends.base.base import BaseDatabaseWrapper

_TABLE = "chronos_vectors_embedding"
WORDS = "chronos_vectors_words"

_REMOVE = f"INSERT INTO {WORDS} ({WORDS}, rowid, content) VALUES ('delete', old.id, old.content);"
_ADD = f"INSERT INTO {WORDS} (rowid, content) VALUES (new.id, new.content);"
_TRIGGERS = {
    f"{WORDS}_insert": f"AFTER INSERT ON {_TABLE} BEGIN {_ADD} END",
    f"{WORDS}_delete": f"AFTER DELETE ON {_TABLE} BEGIN {_REMOVE} END",
    f"{WORDS}_update": f"AFTER UPDATE OF id, content ON {_TABLE} BEGIN {_REMOVE} {_ADD} END",
}


def install(connection: BaseDatabaseWrapper) -> None:
    triggers = {name: f"CREATE TRIGGER {name} {body}" for name, body in _TRIGGERS.items()}
    with connection.cursor() as cursor:
        cursor.execute("SELECT name, sql FROM sqlite_master WHERE name LIKE %s", [f"{WORDS}%"])
        present = dict(cursor.fetchall())
        if WORDS in present and triggers.items() <= present.items():
            return
    with transaction.atomic(using=connection.alias), connection.cursor() as cursor:
        cursor.execute(
            f"CREATE VIRTUAL TABLE IF NOT EXISTS {WORDS} USING fts5"
            f" (content, content='{_TABLE}', content_rowid='id', tokenize='porter unicode61')"
        )
        for name, statement in triggers.items():
            cursor.execute(f"DROP TRIGGER IF EXISTS {name}")
            cursor.execute(statement)
        cursor.execute(f"INSERT INTO {WORDS} ({WORDS}) VALUES ('rebuild')")


def remove(connection: BaseDatabaseWrapper) -> None:
    with connection.cursor() as cursor:
        cursor.execute(f"DROP TABLE IF EXISTS {WORDS}")
