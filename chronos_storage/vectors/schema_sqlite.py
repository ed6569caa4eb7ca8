"""SQLite: the words of the contents, in an FTS5 table that triggers keep up to date."""

from __future__ import annotations

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
    with connection.cursor() as cursor:
        cursor.execute("SELECT name FROM sqlite_master WHERE name LIKE %s", [f"{WORDS}%"])
        present = {row[0] for row in cursor.fetchall()}
        if present >= {WORDS, *_TRIGGERS}:
            return
        cursor.execute(
            f"CREATE VIRTUAL TABLE IF NOT EXISTS {WORDS} USING fts5"
            f" (content, content='{_TABLE}', content_rowid='id', tokenize='porter unicode61')"
        )
        for name, body in _TRIGGERS.items():
            cursor.execute(f"CREATE TRIGGER IF NOT EXISTS {name} {body}")
        cursor.execute(f"INSERT INTO {WORDS} ({WORDS}) VALUES ('rebuild')")
