"""How much and how large: the limits of everything that is stored."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

#: Longest indexed string (ids, keys, names that are looked up), in characters.
MAX_INDEXED = 255
#: Longest name of a queue's topic: that of any session, ``session:<id>``, fits.
MAX_TOPIC = len("session:") + MAX_INDEXED
#: Longest free text (titles, descriptions, prompts, error texts), in characters.
MAX_TEXT = 1_000_000
#: Largest JSON value, all JSON of a record, and that with its long texts, in bytes of UTF-8: MariaDB takes statements
#: of 16 MiB, in which quoting may double what is sent.
MAX_JSON_BYTES = 4 * 1024 * 1024
MAX_RECORD_BYTES = 7 * 1024 * 1024
MAX_WITH_TEXTS_BYTES = MAX_RECORD_BYTES + 512 * 1024
#: Largest state of a checkpoint, in bytes of UTF-8: it is kept item by item, each as large as any JSON value at most.
MAX_STATE_BYTES = 256 * 1024 * 1024
#: Largest count of tokens: so many can't overflow when they are added up.
MAX_TOKENS = 10**12
#: Largest cost of a span, and its decimal places: SQLite's decimals have 15 digits in all.
MAX_COST, COST_PLACES = 999_999, 9
#: How long a fence may keep others out at once.
MAX_DURATION = timedelta(days=366)
#: Deepest nesting of objects and lists.
MAX_DEPTH = 100
#: Most conditions of a filter (a list of values is one), and most words that a search looks for.
MAX_CONDITIONS, MAX_WORDS = 1_000, 4_000
#: Whole numbers a signed 64-bit integer holds.
MIN_INTEGER, MAX_INTEGER = -(2**63), 2**63 - 1
#: Years that every database's timestamps hold.
MIN_TIME = datetime(1000, 1, 1, tzinfo=UTC)
