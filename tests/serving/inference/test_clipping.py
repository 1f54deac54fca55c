"""A text that is clipped before it is tokenised keeps the tokens, places and verdicts that it has as a whole."""

from __future__ import annotations

from functools import cache
from itertools import product
from random import Random

import pytest
from tokenizers import AddedToken, Regex, Tokenizer, models, normalizers, pre_tokenizers

from export.proof.answers.hard_strings import CATEGORIES
from serving.inference.clipping import Clipper
from serving.inference.tokenization import CutTokenization
from serving.tasks.base import Side
from tests import zoo_tokenizers
from tests.serving.inference.test_tokenization import MAKERS, PARTS, SIDES

KINDS = {
    **MAKERS,
    "Qwen": zoo_tokenizers.qwen, "GPT-NeoX": zoo_tokenizers.gpt_neox, "EuroBERT": zoo_tokenizers.eurobert,
    "XLNet": zoo_tokenizers.xlnet, "mBART": zoo_tokenizers.mbart, "Marian": zoo_tokenizers.marian,
}  # fmt: skip
SEED, COUNT = 1, 24
WHOLE = {"Llama"}
"""Those that read a text as one word."""

RUNS = (
    "a",
    "1",
    " ",
    "\n",
    "!",
    "'",
    "'s",
    "\u0301",
    "e\u0301",
    "🇩🇪",
    "👩\u200d",
    "\u200b",
    "ﷺ",
    "字",
    "  x",
    "[CLS]",
    "<mask>",
)


@cache
def state(kind: str) -> str:
    """The tokenizer's, in JSON."""
    return str(KINDS[kind]().backend_tokenizer.to_str())


def ours(kind: str) -> Tokenizer:
    """Without truncation and padding."""
    tokenizer = Tokenizer.from_str(state(kind))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer


@cache
def bare(kind: str) -> Tokenizer:
    """Without special tokens too."""
    tokenizer = ours(kind)
    tokenizer.post_processor = None
    return tokenizer


def texts(seed: int, count: int) -> list[str]:
    """Of hard strings, ordinary words and long runs, in any order."""
    random, makers = Random(seed), list(CATEGORIES.values())

    def piece() -> str:
        kind = random.random()
        if kind < 0.4:
            return " " + random.choice(zoo_tokenizers.TEXTS)
        if kind < 0.8:
            return random.choice(("", " ")) + random.choice(makers)(random)
        return random.choice(RUNS) * random.randint(1, 60)

    return ["".join(piece() for _ in range(random.randint(2, 12))) for _ in range(count)]


def kept(kind: str, text: str, most: int, side: Side) -> tuple[object, ...]:
    """What a text has as a whole: the parts of the tokens that stay, but for the number of a word, and whether some
    are cut."""
    whole = bare(kind).encode(text)
    part = slice(most) if side == "right" else slice(max(len(whole) - most, 0), None)
    return whole.ids[part], whole.offsets[part], whole.tokens[part], len(whole) > most


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("kind", KINDS)
def test_same_tokens(kind: str, side: Side) -> None:
    """Of hard texts that are clipped at every place: the same ids and places, and the same verdict of a cut."""
    clipped = 0
    for number, text in enumerate(texts(seed=SEED, count=COUNT)):
        for most, first in ((3, 1 + number % 40), (9, 12 + number % 60)):
            clipper = Clipper(bare(kind), most, first)
            encoding = clipper.encode(text, side) or bare(kind).encode(text)
            part = slice(most) if side == "right" else slice(max(len(encoding) - most, 0), None)
            ids, offsets, tokens, cut = kept(kind, text, most, side)
            assert (encoding.ids[part], encoding.tokens[part], len(encoding) > most) == (ids, tokens, cut), text
            if side == "right":
                assert encoding.offsets[part] == offsets, text
            clipped += len(encoding) < len(bare(kind).encode(text))
    assert (clipped > COUNT // 8) == (kind not in WHOLE and side in Clipper(bare(kind), 3)._sides), clipped


@pytest.mark.parametrize("kind", ["BERT", "RoBERTa", "XLM-R", "DeBERTa"])
def test_clipped_within_an_added_token(kind: str) -> None:
    """Of an added token of many words, clipped at every place, no word is taken for a word."""
    tokenizer = ours(kind)
    tokenizer.post_processor = None
    tokenizer.add_special_tokens([AddedToken("Xone two three four five six seven", lstrip=True, rstrip=True)])
    text = "one two three   Xone two three four five six seven   one two three Xone two three four"
    whole = tokenizer.encode(text)
    for side, most, first in product(SIDES, range(1, 9), range(1, len(text))):
        clipper = Clipper(tokenizer, most)
        clipper.first = first
        encoding = clipper.encode(text, side) or whole
        part = slice(most) if side == "right" else slice(max(len(encoding) - most, 0), None)
        of_whole = part if side == "right" else slice(max(len(whole) - most, 0), None)
        assert encoding.ids[part] == whole.ids[of_whole], (side, most, first)


def test_which_are_clipped() -> None:
    """Most kinds from both ends; not the left one where an added token can begin within another."""
    assert {kind: len(Clipper(bare(kind), 8)._sides) for kind in KINDS} == dict.fromkeys(KINDS, 2) | {
        "Llama": 0, "mBART": 1,
    }  # fmt: skip


def unknown(**parts: object) -> Tokenizer:
    """A tokenizer of words with such parts."""
    tokenizer = Tokenizer(models.WordLevel({"a": 0, "[UNK]": 1}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    for name, part in parts.items():
        setattr(tokenizer, name, part)
    return tokenizer


@pytest.mark.parametrize(
    "tokenizer",
    [
        unknown(pre_tokenizer=None),
        unknown(pre_tokenizer=pre_tokenizers.Split(Regex(r"a.*b|\s"), "isolated")),
        unknown(normalizer=normalizers.Replace(Regex(r"a.*z"), "")),
        unknown(normalizer=normalizers.Sequence([normalizers.NFC(), normalizers.Replace(Regex("a+$"), "")])),
        unknown(pre_tokenizer=pre_tokenizers.Metaspace(split=False)),
    ],
)
def test_whole_texts(tokenizer: Tokenizer) -> None:
    """What is not known to be local is never clipped."""
    assert Clipper(tokenizer, 8)._sides == set()


def test_added_tokens_in_normalised_text() -> None:
    """Where a normaliser may remove characters without end, an added token may begin anywhere."""
    tokenizer = unknown(normalizer=normalizers.StripAccents())
    assert Clipper(tokenizer, 8)._sides == {"right", "left"}
    tokenizer.add_tokens([AddedToken("covid", normalized=True)])
    assert Clipper(tokenizer, 8)._sides == set()


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("pair", [False, True])
def test_as_served(kind: str, pair: bool) -> None:
    """Texts and pairs of any lengths have all parts that they have where nothing is clipped."""
    longer = [text * (1 + number % 5) for number, text in enumerate(texts(SEED, COUNT // 2))]
    segments = list(zip(longer, reversed(longer), strict=True)) if pair else longer
    for length in (12, 13):
        served = CutTokenization(ours(kind), length, pair=pair)
        served._clipper.first = 40
        for side in SIDES:
            for offsets in (True, False):
                clipped = served.encode(segments, side, offsets=offsets, whole=False)
                whole = served.encode(segments, side, offsets=offsets, whole=True)
                parts = (
                    PARTS if offsets else ("ids", "type_ids", "attention_mask", "sequence_ids", "special_tokens_mask")
                )
                for ours_, theirs in zip(clipped, whole, strict=True):
                    for part in parts:
                        assert getattr(ours_.windows[0], part) == getattr(theirs.windows[0], part), part
                    assert (ours_.cut > 0) == (theirs.cut > 0)
