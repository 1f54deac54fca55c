"""Texts that are nearly equal: MinHash of their character shingles finds them, the edit distance decides.

Time grows with the number of texts alone: a bucket keeps its first texts, and of a text its beginning is compared.
"""

from __future__ import annotations

import unicodedata
import zlib
from collections import defaultdict
from dataclasses import dataclass
from functools import cache
from typing import NamedTuple

from datasketch import MinHash
from rapidfuzz.distance import Indel

from trainer.data.rows import normalize

SIMILARITY = 0.95
"""From here on two texts are nearly equal: the share of their characters that they have in common, in order."""

_NOT_EQUAL = 0.9999
"""Of texts that are equal as far as they were compared."""

_SHINGLE, _BANDS, _BAND = 3, 16, 4
_MOST_CHARACTERS, _MOST_IN_BUCKET = 2000, 16


@dataclass(frozen=True)
class Match:
    """``at`` is the place of the other text; ``similarity`` is 1.0 for one that differs in case or signs at most."""

    at: int
    similarity: float


def plain(text: str) -> str:
    """Without case, punctuation and extra spaces; of a text that has nothing else, the text itself."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    return " ".join("".join(map(_or_space, folded)).split()) or normalize(text)


@cache
def _or_space(sign: str) -> str:
    """Marks and symbols, such as vowels of Hindi and emoji, say something."""
    return " " if unicodedata.category(sign)[0] in "PZC" else sign


class Sketch(NamedTuple):
    """What is compared of a text."""

    text: str
    bands: tuple[bytes, ...]


class NearDuplicates:
    """An index of texts."""

    def __init__(self) -> None:
        self._texts: list[str] = []
        self._first: dict[str, int] = {}
        self._buckets: defaultdict[bytes, list[int]] = defaultdict(list)

    def add(self, sketch: Sketch) -> Match | None:
        """Returns the nearest of the texts before it, if one is nearly equal."""
        match, at = self.find(sketch), len(self._texts)
        self._texts.append(sketch.text)
        if self._first.setdefault(sketch.text, at) == at:
            for band in sketch.bands:
                if len(bucket := self._buckets[band]) < _MOST_IN_BUCKET:
                    bucket.append(at)
        return match

    def find(self, sketch: Sketch) -> Match | None:
        """The nearest text, if one is nearly equal."""
        text = sketch.text
        if text in self._first:
            return Match(self._first[text], 1.0)
        places = sorted({at for band in sketch.bands for at in self._buckets.get(band, ())})
        matches = [Match(at, _similarity(text, self._texts[at])) for at in places]
        best = max(matches, key=lambda match: match.similarity, default=None)
        return best if best and best.similarity else None


def sketch(text: str) -> Sketch:
    text = plain(text)
    length = min(len(text), _MOST_CHARACTERS)
    shingles = {text[at : at + _SHINGLE] for at in range(max(1, length - _SHINGLE + 1))}
    hashed = MinHash(_BANDS * _BAND, hashfunc=zlib.crc32, permutations=_PERMUTATIONS, scheme="affine32")
    hashed.update_batch([shingle.encode("utf-8", "surrogatepass") for shingle in shingles])
    bands = hashed.hashvalues.reshape(_BANDS, _BAND)
    return Sketch(text, tuple(bytes([number]) + band.tobytes() for number, band in enumerate(bands)))


def _similarity(left: str, right: str) -> float:
    """Of their beginnings; 0 below SIMILARITY, and for lengths that differ by more."""
    if min(len(left), len(right)) < SIMILARITY * max(len(left), len(right)):
        return 0.0
    parts = left[:_MOST_CHARACTERS], right[:_MOST_CHARACTERS]
    return min(float(Indel.normalized_similarity(*parts, score_cutoff=SIMILARITY)), _NOT_EQUAL)


_PERMUTATIONS = MinHash(_BANDS * _BAND).permutations
