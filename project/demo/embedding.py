"""Embeddings without a model: words and pairs of neighbouring words, hashed into a vector.

Texts that share rare words and turns of phrase come out alike, which is enough to find one again. Where another agent
would call a model for its embeddings, it would do so here.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections import Counter
from itertools import pairwise

DIMENSION = 1024
#: Words that say nothing of what a text is about.
_STOP_WORDS = frozenset(
    re.findall(
        r"\w+",
        "a all also an and any are as at be by can do each for from has have if in into is it its may not of on or so"
        " than that the their then there these they this to use used uses using was when where which will with you",
    )
)


def embed(text: str) -> list[float] | None:
    """The vector of a text, of length 1; None if no word is left that could say what it is about.

    By the hashing trick (Weinberger et al., "Feature Hashing for Large Scale Multitask Learning", 2009): a hash of
    each n-gram names its place and its sign, so that n-grams which meet in one place cancel out as often as they add.
    """
    words = [word for word in re.findall(r"[a-z0-9]+", text.lower()) if word not in _STOP_WORDS]
    vector = [0.0] * DIMENSION
    for gram, count in Counter([*words, *map(" ".join, pairwise(words))]).items():
        number = int.from_bytes(hashlib.blake2b(gram.encode(), digest_size=8).digest(), "big")
        sign = 1 if number & 1 else -1
        vector[(number >> 1) % DIMENSION] += sign * (1 + math.log(count))
    length = math.hypot(*vector)
    return [number / length for number in vector] if length else None
