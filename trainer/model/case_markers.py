"""Marks before capitalised words, for an uncased base model.

The tokenizer's normalizer writes ↑ before a capitalised word, ↓ before one with two capitals, and then lower-cases;
both are tokens of BERT's vocabulary. As tokenizer.json holds it, the server does the same, and offsets stay those of
the text.
"""

from __future__ import annotations

from typing import Any

from tokenizers import Regex
from tokenizers.normalizers import Lowercase, Replace, Sequence
from transformers import PreTrainedTokenizerFast

from serving.errors import InputError

CAPITALISED, ALL_CAPITALS = "↑", "↓"
_CAPITALS = [chr(code) for code in (*range(0x41, 0x5B), *range(0xC0, 0xDF)) if chr(code).isupper()]
_WORD_START = r"(?<![\p{L}\p{M}\p{N}])"


def with_case_markers(tokenizer: PreTrainedTokenizerFast) -> PreTrainedTokenizerFast:
    """Raises InputError where the vocabulary lacks the marks."""
    lacking = [mark for mark in (CAPITALISED, ALL_CAPITALS) if mark not in tokenizer.get_vocab()]
    if lacking:
        raise InputError(
            f"data.case_markers: the base model's vocabulary has no token {lacking[0]!r}; leave it out,"
            " or choose an uncased BERT",
            field="data.case_markers",
        )
    return _with_normalizers(tokenizer, _marks())


def with_lower_case(tokenizer: PreTrainedTokenizerFast) -> PreTrainedTokenizerFast:
    """Lower-cases texts first, as sentence-transformers does under ``do_lower_case``."""
    return _with_normalizers(tokenizer, [Lowercase()])


def _with_normalizers(tokenizer: PreTrainedTokenizerFast, first: list[Any]) -> PreTrainedTokenizerFast:
    backend = tokenizer.backend_tokenizer
    before = [backend.normalizer] if backend.normalizer else []
    backend.normalizer = Sequence([*first, *before])
    # the general class: a family's own class rebuilds its pipeline, without what is new
    return PreTrainedTokenizerFast(
        tokenizer_object=backend,
        model_input_names=tokenizer.model_input_names,
        model_max_length=tokenizer.model_max_length,
        padding_side=tokenizer.padding_side,
        **tokenizer.special_tokens_map,
    )


def _marks() -> list[Replace]:
    replacements = []
    for capital in _CAPITALS:
        small = capital.lower()
        replacements.append(Replace(Regex(rf"{_WORD_START}{capital}(?=\p{{Lu}})"), f"{ALL_CAPITALS} {small}"))
        replacements.append(Replace(Regex(_WORD_START + capital), f"{CAPITALISED} {small}"))
    return replacements
