"""PostgreSQL: an index for the metadata, vectors that are kept in their rows, and the words of the contents.

The words of a collection that is large enough to have indexes stand in a table of their own, as `tsvector`: to work
them out takes a hundred times as long as to rank by them, and a row with a vector is ten times as wide. Triggers keep
them; `builds` fills in those of the rows that were there before, and `indexes` has their index.
"""

from __future__ import annotations

from django.db.backends.base.base import BaseDatabaseWrapper

from ..compat.connections import in_transaction
from ..compat.schema import column_names, quoted
from .tsvectors import ALL_WORDS, KEPT_WORDS, WORDS_TO_KEEP

_TABLE = "chronos_vectors_embedding"

#: By the triggers' names: when each is called.
_TRIGGERS = {
    f"{KEPT_WORDS}_insert": "AFTER INSERT ON {table} REFERENCING NEW TABLE AS written FOR EACH STATEMENT",
    f"{KEPT_WORDS}_update": "AFTER UPDATE ON {table} REFERENCING NEW TABLE AS written FOR EACH STATEMENT",
    # Row by row: a table of all that a statement removes would hold their vectors too.
    f"{KEPT_WORDS}_delete": "AFTER DELETE ON {table} FOR EACH ROW",
    f"{KEPT_WORDS}_truncate": "AFTER TRUNCATE ON {table} FOR EACH STATEMENT",
}

#: The rights on the embeddings that are missing on the words: what a migration gives nobody, of what writers had.
_MISSING_RIGHTS = f"""
    SELECT format('%%s ON %%s TO %%s', privilege_type, words.oid::regclass,
                  CASE grantee WHEN 0 THEN 'PUBLIC' ELSE grantee::regrole::text END)
    FROM pg_class AS words, pg_class AS embeddings, aclexplode(embeddings.relacl)
    WHERE words.oid = %s::regclass AND embeddings.oid = '{_TABLE}'::regclass
        AND grantee <> words.relowner
        AND (grantee, privilege_type) NOT IN (SELECT grantee, privilege_type FROM aclexplode(words.relacl))
"""


def install(connection: BaseDatabaseWrapper) -> None:
    with connection.cursor() as cursor:
        # A pending list would have to be read by every search until a vacuum comes.
        cursor.execute(
            f"CREATE INDEX IF NOT EXISTS chronos_vectors_metadata ON {_TABLE}"
            " USING gin (metadata jsonb_path_ops) WITH (fastupdate = off)"
        )
        cursor.execute(
            "SELECT attstorage FROM pg_attribute WHERE attrelid = %s::regclass AND attname = 'vector'", [_TABLE]
        )
        if cursor.fetchone() != ("m",):
            # By default a row over 2 kB moves its vector out; an exact search would fetch each from there.
            cursor.execute(f"ALTER TABLE {_TABLE} ALTER COLUMN vector SET STORAGE MAIN")
        # In the schema of the embeddings: with several in a database, each has its own.
        cursor.execute("SELECT relnamespace::regnamespace::text FROM pg_class WHERE oid = %s::regclass", [_TABLE])
        (schema,) = cursor.fetchone()
    if "worded" not in column_names(connection, "chronos_vectors_collection"):  # the migrations go back, or no further
        remove(connection, f"{schema}.")
        return
    with connection.cursor() as cursor:
        cursor.execute(
            f"CREATE TABLE IF NOT EXISTS {schema}.{KEPT_WORDS} (id bigint PRIMARY KEY, collection_id bigint NOT NULL,"
            ' embedding_id character varying(255) COLLATE "C" NOT NULL, words tsvector NOT NULL)'
        )
        cursor.execute(_MISSING_RIGHTS, [f"{schema}.{KEPT_WORDS}"])
        for (right,) in cursor.fetchall():
            cursor.execute(f"GRANT {right}")
        body = _body(schema)
        cursor.execute("SELECT prosrc FROM pg_proc WHERE oid = to_regproc(%s)", [f"{schema}.{KEPT_WORDS}_keep"])
        if cursor.fetchone() != (body,):
            function = f"FUNCTION {schema}.{KEPT_WORDS}_keep() RETURNS trigger LANGUAGE plpgsql"
            cursor.execute(f"CREATE OR REPLACE {function} AS $${body}$$")
            # Who was at work on an index just now, in this release's way, had words of the last release's beside.
            collections = f"{schema}.chronos_vectors_collection"
            cursor.execute(f"UPDATE {collections} SET worded = {ALL_WORDS - 1} WHERE worded = {ALL_WORDS}")
        cursor.execute("SELECT tgname FROM pg_trigger WHERE tgrelid = %s::regclass AND tgenabled = 'O'", [_TABLE])
        present = {name for (name,) in cursor.fetchall()}
        for name, when in _TRIGGERS.items():
            if name not in present:  # to make one again would wait for all who write
                call = f"{when.format(table=f'{schema}.{_TABLE}')} EXECUTE FUNCTION {schema}.{KEPT_WORDS}_keep()"
                cursor.execute(f"CREATE TRIGGER {quoted(connection, name)} {call}")
    if not in_transaction(connection):  # for whose end it would wait
        from .builds import keep_words  # it needs pgvector's package

        keep_words(connection.alias)


def _body(schema: str) -> str:
    words = f"{schema}.{KEPT_WORDS}"
    return f"""
        BEGIN
            IF TG_OP = 'DELETE' THEN
                DELETE FROM {words} WHERE id = OLD.id;
            ELSIF TG_OP = 'TRUNCATE' THEN
                DELETE FROM {words};
            ELSE
                INSERT INTO {words} AS kept (id, collection_id, embedding_id, words)
                SELECT written.id, collection_id, embedding_id, {WORDS_TO_KEEP}
                FROM written JOIN {schema}.chronos_vectors_collection AS c ON c.id = collection_id AND c.worded > 0
                ON CONFLICT (id) DO UPDATE SET (collection_id, embedding_id, words)
                    = (excluded.collection_id, excluded.embedding_id, excluded.words)
                WHERE (kept.collection_id, kept.embedding_id, kept.words)
                    IS DISTINCT FROM (excluded.collection_id, excluded.embedding_id, excluded.words);
            END IF;
            RETURN NULL;
        END """


def remove(connection: BaseDatabaseWrapper, schema: str = "") -> None:
    with connection.cursor() as cursor:
        cursor.execute(f"DROP FUNCTION IF EXISTS {schema}{KEPT_WORDS}_keep() CASCADE")  # and the triggers that call it
        cursor.execute(f"DROP TABLE IF EXISTS {schema}{KEPT_WORDS}")
