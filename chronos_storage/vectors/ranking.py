"""Texts ranked by words, for engines whose own ranks differ from one another: Okapi BM25.

Robertson and Zaragoza, "The Probabilistic Relevance Framework: BM25 and Beyond", 2009. How rare a word is and how long
texts are is taken of those that have some of the words, which are all that is looked at.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence

from .terms import words

_SATURATION, _LENGTH = 1.2, 0.75


def ranked(wanted: Sequence[str], texts: Iterable[tuple[str, str]]) -> list[str]:
    """The ids of the texts that have some of the words, best first, ties by id.

    Args:
        wanted: words, as `terms.words` gives them.
        texts: ids and texts; each is read once, and not kept.
    """
    asked = set(wanted)
    counts: dict[str, tuple[Counter[str], int]] = {}
    having: Counter[str] = Counter()
    for id, text in texts:
        several = words(text)
        found = Counter(word for word in several if word in asked)
        if found:
            counts[id] = found, len(several)
            having.update(found.keys())
    if not counts:
        return []
    mean = sum(length for _, length in counts.values()) / len(counts)
    weights = {word: math.log(1 + (len(counts) - n + 0.5) / (n + 0.5)) for word, n in having.items()}

    def score(id: str) -> float:
        found, length = counts[id]
        damping = _SATURATION * (1 - _LENGTH + _LENGTH * length / mean)
        return math.fsum(weights[word] * n * (_SATURATION + 1) / (n + damping) for word, n in found.items())

    return sorted(counts, key=lambda id: (-score(id), id))
