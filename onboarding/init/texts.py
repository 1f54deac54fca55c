"""What the texts themselves tell: their languages, how long they are, whether they hold personal data."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from onboarding.init.profile import count_words
from serving.tasks.personal_data import KINDS
from serving.tasks.redaction import find
from trainer.data.languages import CONFIDENCE, FEWEST_LETTERS, tell_languages

_SAMPLE = 400
_MOST = 0.9
"""From this share on, the texts are said to be in one language."""
_JOINED = 20
"""Texts that are too short are told of together."""


@dataclass(frozen=True)
class Languages:
    """``one`` is the ISO 639 code of all or nearly all texts, None of several, "" where it is not known."""

    one: str | None
    told: str


def find_languages(texts: Sequence[str]) -> Languages:
    """Of a sample."""
    sample = [text for text in texts[:: max(1, len(texts) // _SAMPLE)] if text.strip()][:_SAMPLE]
    sure = _sure_languages([text for text in sample if len(text) >= FEWEST_LETTERS])
    if len(sure) < len(sample) / 4:
        sure = _sure_languages([" ".join(sample[at : at + _JOINED]) for at in range(0, len(sample), _JOINED)])
    if not sure:
        return Languages("", "the language is not clear, and taken as English")
    counts = Counter(sure)
    usual, count = counts.most_common(1)[0]
    if count >= _MOST * len(sure):
        return Languages(usual, f"the texts are {describe_language(usual)}")
    listed = ", ".join(f"{describe_language(name)} {count / len(sure):.0%}" for name, count in counts.most_common(3))
    return Languages(None, f"the texts are in several languages: {listed}")


def _sure_languages(texts: Sequence[str]) -> list[str]:
    return [language for language, score in tell_languages(texts) if score >= CONFIDENCE]


_NAMES = {
    "ar": "Arabic", "cs": "Czech", "da": "Danish", "de": "German", "el": "Greek", "en": "English", "es": "Spanish",
    "fi": "Finnish", "fr": "French", "he": "Hebrew", "hi": "Hindi", "hu": "Hungarian", "it": "Italian",
    "ja": "Japanese", "ko": "Korean", "nl": "Dutch", "no": "Norwegian", "pl": "Polish", "pt": "Portuguese",
    "ro": "Romanian", "ru": "Russian", "sv": "Swedish", "th": "Thai", "tr": "Turkish", "uk": "Ukrainian",
    "vi": "Vietnamese", "zh": "Chinese",
}  # fmt: skip


def describe_language(code: str) -> str:
    return _NAMES.get(code, code)


@dataclass(frozen=True)
class Lengths:
    """In tokens; ``estimated`` where there was no tokenizer to count them."""

    values: np.ndarray[tuple[int], np.dtype[np.int64]]
    estimated: bool = False

    def at(self, share: float) -> int:
        """So many have this share of the texts at most."""
        return int(np.ceil(np.quantile(self.values, share)))

    def longer(self, limit: int) -> float:
        """The share of texts that are longer."""
        return float((self.values > limit).mean())

    def describe(self, noun: str = "texts") -> str:
        about = "about " if self.estimated else ""
        return f"half of the {noun} have {about}{self.at(0.5)} tokens at most, the longest {about}{self.at(1)}"


def measure(texts: Sequence[str], count: Callable[[Sequence[str]], list[int]] | None) -> Lengths:
    """``count`` gives each text's tokens; without it 1.4 a word is estimated."""
    sample = texts[:: max(1, len(texts) // 5000)]
    counted = count(sample) if count else [int(1.4 * count_words(text)) + 2 for text in sample]
    return Lengths(np.array(counted, dtype=np.int64), estimated=count is None)


def find_personal_data(texts: Sequence[str]) -> Counter[str]:
    """How many texts of a sample have each kind."""
    sample = texts[:: max(1, len(texts) // 5000)]
    return Counter(kind for text in sample for kind in KINDS if find(text, kind))
