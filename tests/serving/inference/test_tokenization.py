"""Texts and pairs are cut to the token as transformers' own call cuts them, from either end, at every length."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cache
from itertools import product
from typing import Any

import pytest
from tokenizers import Tokenizer

from serving.bundle.manifest import Limits
from serving.errors import InputError
from serving.inference.tokenization import (
    BoundedWindowTokenization,
    CutTokenization,
    Tokenization,
    Tokenized,
    WindowTokenization,
    longest_first,
)
from serving.tasks.base import Side
from serving.tasks.question_answering import QuestionAnswering, QuestionAnsweringSettings
from serving.tasks.text_classification import TextClassification, TextClassificationSettings
from serving.tasks.token_classification import TokenClassification, TokenClassificationSettings
from serving.tasks.windows import Windows
from tests import tiny_generators, zoo_tokenizers

MAKERS = {
    "BERT": zoo_tokenizers.bert,
    "MPNet": zoo_tokenizers.mpnet,
    "RoBERTa": zoo_tokenizers.roberta,
    "ModernBERT": zoo_tokenizers.modernbert,
    "XLM-R": zoo_tokenizers.xlm_roberta,
    "ALBERT": zoo_tokenizers.albert,
    "DeBERTa": zoo_tokenizers.deberta,
    "GPT-2": tiny_generators._byte_level_tokenizer,
    "Llama": tiny_generators._byte_fallback_tokenizer,
    "T5": tiny_generators._unigram_tokenizer,
}
SPACES = "A dog is running" + " " * 4000 + "on the beach, with a stick in its mouth"
TEXTS = (
    "a",
    " ",
    "\u200b",
    zoo_tokenizers.TEXTS[0],
    " ".join(zoo_tokenizers.TEXTS[30:38]),
    "A dog is running" + " " * 60 + "on the beach",
    "ß" * 40,
    "[CLS] a [SEP] </s> e\u0301 👩‍👩‍👧 ﬁ",
)
LENGTHS = (6, 9, 16, 17, 64, 200)
SIDES: tuple[Side, ...] = ("right", "left")
PARTS = ("ids", "type_ids", "attention_mask", "offsets", "sequence_ids", "word_ids", "special_tokens_mask")


@cache
def theirs(kind: str) -> Any:
    return MAKERS[kind]()


def ours(kind: str) -> Tokenizer:
    tokenizer = Tokenizer.from_str(theirs(kind).backend_tokenizer.to_str())
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer


def classifier(**windows: int) -> TextClassification:
    return TextClassification("ab", TextClassificationSettings(windows=Windows(**windows)), Limits())


def tokenization_of(kind: str, length: int, task: TextClassification) -> Tokenization:
    return BoundedWindowTokenization(ours(kind), length, task)


def by_transformers(kind: str, length: int, side: Side, *texts: Sequence[str], **options: Any) -> list[Any]:
    tokenizer = theirs(kind)
    tokenizer.truncation_side = side
    encodings: list[Any] = tokenizer(*map(list, texts), max_length=length, **{"truncation": True} | options).encodings
    return encodings


def parts_of(encoding: Any) -> dict[str, Any]:
    return {name: getattr(encoding, name) for name in PARTS}


@pytest.mark.slow
@pytest.mark.parametrize("kind", MAKERS)
def test_pairs(kind: str) -> None:
    """Every pair of texts, at every length, from either end: tokens, types, places and what is told."""
    firsts, seconds = zip(*product(TEXTS, TEXTS), strict=True)
    for length, side in product(LENGTHS, SIDES):
        tokenization = CutTokenization(ours(kind), length, pair=True)
        expected = by_transformers(kind, length, side, firsts, seconds, truncation="longest_first")
        served = tokenization.encode(list(zip(firsts, seconds, strict=True)), side, offsets=True)
        assert [parts_of(each.windows[0]) for each in served] == [parts_of(each) for each in expected]
        assert [each.cut > 0 for each in served] == [bool(each.overflowing) for each in expected]
        fast = tokenization.encode(list(zip(firsts, seconds, strict=True)), side, offsets=False)
        assert [each.windows[0].ids for each in fast] == [each.ids for each in expected]


@pytest.mark.parametrize("kind", MAKERS)
def test_lone_texts(kind: str) -> None:
    """A lone text, at every length, from either end; the tokens that are cut off are counted."""
    whole = [len(each.ids) for each in by_transformers(kind, 10**6, "right", TEXTS, truncation=False)]
    for length, side in product(LENGTHS, SIDES):
        tokenization = CutTokenization(ours(kind), length, pair=False)
        served = tokenization.encode(TEXTS, side, offsets=True, whole=True)
        expected = by_transformers(kind, length, side, TEXTS)
        assert [parts_of(each.windows[0]) for each in served] == [parts_of(each) for each in expected]
        assert [len(each.windows[0].ids) + each.cut for each in served] == whole


@pytest.mark.parametrize("kind", MAKERS)
def test_a_request_reads_fewer_tokens(kind: str) -> None:
    """Than the model would: as if the model read so few; special tokens alone are refused."""
    for pair, segments in ((False, TEXTS), (True, list(product(TEXTS[:4], TEXTS)))):
        tokenization = CutTokenization(ours(kind), max(LENGTHS), pair=pair)
        for length, side in product(LENGTHS, SIDES):
            fewer = CutTokenization(ours(kind), length, pair=pair).encode(segments, side, offsets=False)
            if length <= ours(kind).num_special_tokens_to_add(is_pair=pair):
                with pytest.raises(InputError, match=f"max_length is {length}, and the tokenizer adds"):
                    tokenization.encode(segments, side, offsets=False, most=length)
                continue
            served = tokenization.encode(segments, side, offsets=False, most=length)
            assert [each.windows[0].ids for each in served] == [each.windows[0].ids for each in fewer]
            assert [each.cut > 0 for each in served] == [each.cut > 0 for each in fewer]


@pytest.mark.parametrize("kind", MAKERS)
def test_windows(kind: str) -> None:
    """Overlapping windows of a text, and of a context beside its question, are transformers' overflowing tokens."""
    tagger = TokenClassification(["O"], TokenClassificationSettings(stride=5), Limits())
    reader = QuestionAnswering([], QuestionAnsweringSettings(stride=5, max_length=32), Limits())
    questions = ["where is it?"] * len(TEXTS)
    for task, segments, texts, truncation in (
        (tagger, TEXTS, (TEXTS,), "longest_first"),
        (reader, list(zip(questions, TEXTS, strict=True)), (questions, TEXTS), "only_second"),
    ):
        tokenization = WindowTokenization(ours(kind), 32, task)
        served = tokenization.encode(segments, "right", offsets=True)
        windows = [[parts_of(window) for window in each.windows] for each in served]
        expected = by_transformers(
            kind, 32, "right", *texts, stride=5, truncation=truncation, return_overflowing_tokens=True
        )
        assert [window for each in windows for window in each] == [parts_of(each) for each in expected]
        assert all(each.cut == 0 for each in served)


@pytest.mark.parametrize("kind", MAKERS)
def test_windows_of_classified_texts(kind: str) -> None:
    """The first so many of transformers' overflowing tokens, from either end; what none of them has is counted."""
    whole = [len(each.ids) for each in by_transformers(kind, 10**6, "right", TEXTS, truncation=False)]
    for most, side in product((2, 3, 9), SIDES):
        task = classifier(stride=5, max_windows=most)
        served = tokenization_of(kind, 16, task).encode(TEXTS, side, offsets=True, whole=True)
        expected = by_transformers(kind, 16, side, TEXTS, stride=5, return_overflowing_tokens=True)
        split = [[each, *each.overflowing] for each in by_transformers(kind, 16, side, TEXTS, stride=5)]
        assert len(expected) == sum(map(len, split))
        assert [list(map(parts_of, each.windows)) for each in served] == [
            list(map(parts_of, windows[:most])) for windows in split
        ]
        assert [each.cut > 0 for each in served] == [len(windows) > most for windows in split]
        assert [each.read + each.cut for each in served] == whole


@pytest.mark.parametrize("kind", MAKERS)
def test_a_request_reads_fewer_tokens_of_windows(kind: str) -> None:
    """Of a long text in all, so that one window may be enough."""
    tokenization, text = tokenization_of(kind, 16, classifier(stride=5, max_windows=9)), TEXTS[4]
    special = ours(kind).num_special_tokens_to_add(is_pair=False)
    for most in (special + 1, 12, 16, 17, 40):
        [served] = tokenization.encode([text], "right", offsets=False, most=most, whole=True)
        assert served.read == most
        assert served.cut > 0
        own = [len(each) - special for each in served.windows]
        assert sum(own) - 5 * (len(own) - 1) == most - special
        assert max(own) <= 16 - special


def test_windows_of_a_very_long_text_are_cut_before_they_are_split() -> None:
    """The characters behind the last window cost next to nothing."""
    tokenization = tokenization_of("BERT", 16, classifier(stride=5, max_windows=3))
    [served] = tokenization.encode(["where is my parcel? " * 5000], "right", offsets=False)
    assert [len(each) for each in served.windows] == [16, 16, 16]
    assert 0 < served.cut < 1000


@pytest.mark.parametrize("side", SIDES)
def test_nothing_is_cut_in_silence(side: Side) -> None:
    """Thousands of spaces in a text of a few tokens cut nothing."""
    tokenization = CutTokenization(ours("BERT"), 64, pair=True)
    [served] = tokenization.encode([(SPACES, "a dog")], side, offsets=False)
    assert isinstance(served, Tokenized)
    assert served.cut == 0
    assert len(served.windows[0].ids) == len(theirs("BERT")(SPACES, "a dog")["input_ids"])


@pytest.mark.parametrize("side", SIDES)
def test_long_pairs_cost_the_sum(side: Side) -> None:
    """Two texts of 100,000 characters: the library alone would keep half a million parts of both."""
    text = "where is my parcel? " * 5000
    tokenization = CutTokenization(ours("BERT"), 16, pair=True)
    [served] = tokenization.encode([(text, text)], side, offsets=False, whole=True)
    count = len(ours("BERT").encode(text, add_special_tokens=False).ids)
    assert len(served.windows[0].ids) == 16
    assert served.cut == 2 * count - 13
    assert len(served.windows[1:]) == 0


def test_longest_first() -> None:
    """By brute force: the longer text loses a token at a time; where both are cut, the longer has one token more."""
    for first, second, most in product(range(15), range(15), range(20)):
        kept = longest_first(first, second, most)
        assert sum(kept) == min(first + second, most)
        assert kept[0] <= first
        assert kept[1] <= second
        if first + second > most:
            lower, upper = sorted(kept)
            cut_both = kept[0] < first and kept[1] < second
            assert not cut_both or upper - lower <= 1


def test_without_a_post_processor() -> None:
    """A tokenizer that adds no special tokens joins both texts as the library does."""
    state = json.loads(ours("GPT-2").to_str()) | {"post_processor": None}
    tokenizer = Tokenizer.from_str(json.dumps(state))
    expected = tokenizer.encode(TEXTS[3], TEXTS[4])
    [served] = CutTokenization(tokenizer, 2000, pair=True).encode([(TEXTS[3], TEXTS[4])], "right", offsets=True)
    assert parts_of(served.windows[0]) == parts_of(expected)
