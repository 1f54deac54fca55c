"""Capitals for a model that knows none: a mark before each capitalised word, made by the tokenizer itself.

An uncased model reads Apple and apple alike. Here the tokenizer's normalizer writes ↑ before a capitalised word and ↓
before one that begins with two capitals, and only then lower-cases; both marks are tokens that the vocabulary has
already. It lies in tokenizer.json, so that training, the proof and the server do the same, and offsets stay those of
the text as it was sent.
"""

from __future__ import annotations

from tokenizers import Regex
from tokenizers.normalizers import Replace, Sequence
from transformers import PreTrainedTokenizerFast

from serving.errors import InputError

CAPITALISED, ALL_CAPITALS = "↑", "↓"
_CAPITALS = [chr(code) for code in (*range(0x41, 0x5B), *range(0xC0, 0xDF)) if chr(code).isupper()]
_AT_BEGINNING = r"(?<![\p{L}\p{M}\p{N}])"


def with_case_markers(tokenizer: PreTrainedTokenizerFast) -> PreTrainedTokenizerFast:
    """The same tokenizer with marks; raises InputError where its vocabulary has no such tokens."""
    lacking = [mark for mark in (CAPITALISED, ALL_CAPITALS) if mark not in tokenizer.get_vocab()]
    if lacking:
        raise InputError(
            f"data.case_markers: the base model's vocabulary has no token {lacking[0]!r}; leave it out,"
            " or choose an uncased BERT",
            field="data.case_markers",
        )
    backend = tokenizer.backend_tokenizer
    before = [backend.normalizer] if backend.normalizer else []
    backend.normalizer = Sequence([*_marks(), *before])
    # The general class: those of a family make their pipeline anew from a configuration that knows no marks.
    return PreTrainedTokenizerFast(
        tokenizer_object=backend,
        model_input_names=tokenizer.model_input_names,
        model_max_length=tokenizer.model_max_length,
        padding_side=tokenizer.padding_side,
        **tokenizer.special_tokens_map,
    )


def _marks() -> list[Replace]:
    """Lower-case letters behind a mark, in place of the capital that a word begins with."""
    found = []
    for capital in _CAPITALS:
        small = capital.lower()
        found.append(Replace(Regex(rf"{_AT_BEGINNING}{capital}(?=\p{{Lu}})"), f"{ALL_CAPITALS} {small}"))
        found.append(Replace(Regex(_AT_BEGINNING + capital), f"{CAPITALISED} {small}"))
    return found
