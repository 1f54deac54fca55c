"""The languages of texts, told offline by py3langid."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

CONFIDENCE, FEWEST_LETTERS = 0.9, 20
"""From which on a text's language is taken as told, and how long a text must be."""


def tell_languages(texts: Iterable[str]) -> Iterator[tuple[str, float]]:
    """Of each text its ISO 639 code, and how sure that is, 0 to 1."""
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    identifier = LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
    return (identifier.classify(text) for text in texts)
