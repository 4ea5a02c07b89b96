"""Sentences as numbers of their words."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from itertools import chain

import numpy as np

__all__ = ["tokens", "vocabulary"]

PADDING, UNKNOWN = "", "<unknown>"
WORD = re.compile(r"[\w']+|[^\w\s]")  # a word with its apostrophes, or one punctuation mark


def vocabulary(sentences: Sequence[str], words: int = 8000) -> np.ndarray:
    """The `words` tokens of a language: padding (0), unknown (1), then the most frequent words, ties by alphabet.

    >>> vocabulary(["A good film.", "a bad film"], words=5).tolist()
    ['', '<unknown>', 'a', 'film', '.']
    """
    counts = Counter(chain.from_iterable(map(_words, sentences)))
    ordered = sorted(counts, key=lambda word: (-counts[word], word))
    return np.array([PADDING, UNKNOWN, *ordered[: words - 2]])


def tokens(sentences: Sequence[str], words: np.ndarray, length: int = 64) -> np.ndarray:
    """Each sentence as the numbers of its words, i32[N, length], cut or padded with 0 at the end.

    >>> tokens(["a film!"], vocabulary(["A good film.", "a bad film"]), length=4)
    array([[2, 3, 1, 0]], dtype=int32)
    """
    number = {word: place for place, word in enumerate(words.tolist())}
    rows = [[number.get(word, 1) for word in _words(sentence)[:length]] for sentence in sentences]
    sizes = np.array([len(row) for row in rows])
    table = np.zeros((len(rows), length), np.int32)
    table[np.arange(length) < sizes[:, None]] = np.fromiter(chain.from_iterable(rows), np.int32, sizes.sum())
    return table


def _words(sentence: str) -> list[str]:
    return WORD.findall(sentence.lower())
