"""The words of contents on PostgreSQL, as a ``tsvector``, and the table that keeps them; see `schema_postgresql`."""

#: The content's words: a ``tsvector`` can't be larger than a megabyte.
WORDS = "to_tsvector('english', left(content, 100000))"
KEPT_WORDS = "chronos_vectors_words"
