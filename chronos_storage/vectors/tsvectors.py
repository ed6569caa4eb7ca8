"""The words of contents on PostgreSQL, as a ``tsvector``, and the table that keeps them; see `schema_postgresql`."""

#: The content's words: a ``tsvector`` can't be larger than a megabyte.
WORDS = "to_tsvector('english', left(content, 100000))"
#: Appended to a word, it stands for that word's being there three times or more, which of those that are in very many
#: texts leaves few. No word has it: to the parser it is a space.
OFTEN = "chr(1)"
#: The words as they are kept: an index can tell the texts that have one of them often.
WORDS_TO_KEEP = (
    "(SELECT parsed || array_to_tsvector(ARRAY("
    f"SELECT lexeme || {OFTEN} FROM unnest(parsed) WHERE cardinality(positions) > 2)) FROM {WORDS} AS parsed)"
)
KEPT_WORDS = "chronos_vectors_words"
#: What `Collection.worded` is where all words are kept, as they are kept now.
ALL_WORDS = 3
