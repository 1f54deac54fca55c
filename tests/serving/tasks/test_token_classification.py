"""Token classification: tags become entities, at their places in the very text that was sent."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Encoding

from serving.tasks.base import Encoded, Logits
from serving.tasks.token_classification import (
    TokenClassification,
    TokenClassificationParameters,
    TokenClassificationSettings,
)
from tests.serving.tasks.hand_made import KINDS, LIMITS, encode, row, tokenizer_of

LABELS = ["O", "B-PER", "I-PER", "B-LOC", "I-LOC"]
STRATEGIES = ("none", "simple", "first", "average", "max")
HARD_CHARACTERS = "aZé e\u0301我京カ゚ا\u064b\u200d\u202eד👩👍🏽\u200b\u00ad\n\u3000.'$½ﬁ\x00İ"
MISPLACED = "\u00ad\u200b\ufeff" + "\u0301\u064b\u309a"
"""Where SentencePiece's normaliser drops the first characters of a text, tokenizers 0.23.3 misplaces all of them. The
second three are marks, which ALBERT's drops too where they stand on nothing."""

FAMILY = "👨\u200d👩\u200d👧\u200d👦"


def tagger(**options: Any) -> TokenClassification:
    """A task object of its own."""
    return TokenClassification(LABELS, TokenClassificationSettings(**options), LIMITS)


TASK = tagger()


def entities(encoded: Encoded, logits: list[Logits], task: TokenClassification = TASK, **parameters: Any) -> Any:
    """The entities of a text."""
    return task.decode(encoded, logits, TokenClassificationParameters(**parameters))


def named(answer: list[dict[str, Any]]) -> list[tuple[str, str, int]]:
    """Type, word and start of each entity."""
    return [(entity["entity_group"], entity["word"], entity["start"]) for entity in answer]


def model_of(places: dict[tuple[int, int], str], encoded: Encoded) -> list[Logits]:
    """A model that knows which places of the text are entities, and tags their tokens as a trained one does."""
    return [tag_window(window, encoded.item, places) for window in encoded.windows]


def tag_window(window: Encoding, text: str, places: dict[tuple[int, int], str]) -> Logits:
    """B- for the first token of a place, I- for the others; a space counts to the word that the tokenizer has it in."""
    tags: list[str] = []
    begun: set[tuple[int, int]] = set()
    for here, (start, end) in enumerate(window.offsets):
        goes_on = here + 1 < len(window.ids) and window.word_ids[here] == window.word_ids[here + 1]
        at = next((at for at in range(start, end) if not text[at].isspace()), end if goes_on else start)
        place = next((place for place in places if place[0] <= at < place[1] and start < end), None)
        first = place is not None and at == place[0] and place not in begun
        tags.append("O" if place is None else f"{'B' if first else 'I'}-{places[place]}")
        begun |= {place} if first else set()
    return sure_of(tags)


def sure_of(tags: list[str]) -> Logits:
    """Logits of a model that is sure of these tags, and surer of their types: 8 for a tag, 4 for its B- or I-."""
    types = np.array([[label[2:] == tag[2:] for label in LABELS] for tag in tags])
    return (4 * types + 4 * (np.array(LABELS) == np.array(tags)[:, None])).astype(np.float32)


def found_in(text: str, kind: str, names: dict[str, str], **parameters: Any) -> list[tuple[str, str, int]]:
    """What is found in a text by a model that knows the names in it."""
    encoded = encode(tokenizer_of(kind, TASK), TASK, text)
    places = {(text.index(name), text.index(name) + len(name)): kind for name, kind in names.items()}
    return named(entities(encoded, model_of(places, encoded), **parameters))


def by_word(text: str, *tags: str) -> tuple[Encoded, list[Logits]]:
    """A text, and a model that gives its words these tags, and the further pieces of a word I-."""
    encoded = encode(tokenizer_of("BERT", TASK), TASK, text)
    (window,) = encoded.windows
    labels, before = [], None
    for word in window.word_ids:
        tag = "O" if word is None else tags[word]
        labels.append(f"I-{tag[2:]}" if word is not None and word == before and tag != "O" else tag)
        before = word
    return encoded, [sure_of(labels)]


@pytest.mark.parametrize(
    ("tags", "expected"),
    [
        ("O O O O", []),
        ("B-PER I-PER O B-LOC", [("PER", "ada lovelace", 0), ("LOC", "graz", 16)]),
        ("B-PER B-PER O O", [("PER", "ada", 0), ("PER", "lovelace", 4)]),
        ("I-PER I-PER O O", [("PER", "ada lovelace", 0)]),
        ("B-PER I-LOC O O", [("PER", "ada", 0), ("LOC", "lovelace", 4)]),
        ("B-PER O I-PER O", [("PER", "ada", 0), ("PER", "in", 13)]),
        ("I-LOC I-LOC B-LOC I-LOC", [("LOC", "ada lovelace", 0), ("LOC", "in graz", 13)]),
        ("B-LOC I-LOC I-LOC I-LOC", [("LOC", "ada lovelace in graz", 0)]),
    ],
)
@pytest.mark.parametrize("strategy", STRATEGIES[1:])
def test_tags_become_entities(tags: str, expected: list[tuple[str, str, int]], strategy: str) -> None:
    """B- begins an entity, I- goes on with one of its type; an I- that has nothing to go on with begins one."""
    answer = entities(*by_word("ada lovelace in graz", *tags.split()), aggregation_strategy=strategy)
    assert named(answer) == expected
    assert all(entity["end"] == entity["start"] + len(entity["word"]) for entity in answer)


def test_shape() -> None:
    """An entity has Hugging Face's keys, in plain JSON types."""
    (entity,) = entities(*by_word("in graz", "O", "B-LOC"))
    assert list(entity) == ["entity_group", "score", "word", "start", "end"]
    assert [type(value) for value in entity.values()] == [str, float, str, int, int]


def pieces(*scores: tuple[float, float, float]) -> tuple[Encoded, list[Logits]]:
    """One word of three pieces, and a model that gives each the probabilities of O, B-PER and B-LOC."""
    text = "lamplampen"
    encoded = encode(tokenizer_of("BERT", TASK), TASK, text)
    (window,) = encoded.windows
    count = len(window.ids) - 2
    assert count >= 3
    filled = [*scores, *([scores[-1]] * (count - len(scores)))]
    rows = [row(*np.log(np.maximum([o, person, 0, place, 0], 1e-9))) for o, person, place in filled]
    return encoded, [np.stack([rows[0], *rows, rows[0]])]


@pytest.mark.parametrize(
    ("strategy", "expected", "score"),
    [("first", "PER", 0.6), ("max", "LOC", 0.9), ("average", "LOC", None)],
)
def test_strategy(strategy: str, expected: str, score: float | None) -> None:
    """A word's tag is that of its first piece, of its surest one, or of their mean; its score is of that tag."""
    encoded, logits = pieces((0.3, 0.6, 0.1), (0.1, 0.0, 0.9), (0.3, 0.0, 0.7))
    (entity,) = entities(encoded, logits, aggregation_strategy=strategy)
    assert (entity["entity_group"], entity["word"]) == (expected, "lamplampen")
    mean = (0.1 + 0.9 + 0.7 * (len(logits[0]) - 4)) / (len(logits[0]) - 2)
    assert entity["score"] == pytest.approx(mean if score is None else score, abs=1e-6)


def test_simple() -> None:
    """`simple` takes pieces for words: one word may fall into several entities."""
    encoded, logits = pieces((0.3, 0.6, 0.1), (0.1, 0.0, 0.9), (0.8, 0.1, 0.1))
    answer = entities(encoded, logits, aggregation_strategy="simple")
    first, second = encoded.windows[0].offsets[1:3]
    assert [(each["entity_group"], each["start"], each["end"]) for each in answer] == [
        ("PER", *first),
        ("LOC", *second),
    ]
    assert [each["score"] for each in answer] == pytest.approx([0.6, 0.9], abs=1e-6)


def test_none() -> None:
    """`none` answers each piece by itself: its tag, its number from 1 on, its place."""
    encoded, logits = pieces((0.3, 0.6, 0.1), (0.8, 0.1, 0.1), (0.1, 0.0, 0.9))
    first, third, *_ = entities(encoded, logits, aggregation_strategy="none")
    offsets = encoded.windows[0].offsets
    assert list(first) == ["entity", "index", "score", "word", "start", "end"]
    assert (first["entity"], first["index"], first["start"], first["end"]) == ("B-PER", 1, *offsets[1])
    assert (third["entity"], third["index"], third["start"], third["end"]) == ("B-LOC", 3, *offsets[3])
    assert first["score"] == pytest.approx(0.6, abs=1e-6)
    assert TASK.predicted_labels([first, third]) == ["B-PER", "B-LOC"]


def test_ignore_labels() -> None:
    """ignore_labels leaves out types, or tags where pieces are answered; of itself it leaves out O."""
    encoded, logits = by_word("ada in graz", "B-PER", "O", "B-LOC")
    assert [name for name, *_ in named(entities(encoded, logits, ignore_labels=["PER"]))] == ["LOC"]
    assert named(entities(encoded, logits, ignore_labels=["PER", "LOC"])) == []
    tags = [each["entity"] for each in entities(encoded, logits, aggregation_strategy="none", ignore_labels=[])]
    assert {"B-PER", "O", "B-LOC"} <= set(tags)
    assert "O" not in [each["entity"] for each in entities(encoded, logits, aggregation_strategy="none")]


def test_score_of_several_words() -> None:
    """An entity's score is the mean of its words' scores."""
    encoded, (logits,) = by_word("ada lovelace", "B-PER", "I-PER")
    logits[encoded.windows[0].word_ids.index(1)] = row(0, 0, np.log(4), 0, 0)  # 4 parts in 8
    (entity,) = entities(encoded, [logits])
    first = np.exp(8) / (np.exp(8) + np.exp(4) + 3)
    assert entity["score"] == pytest.approx((first + 0.5) / 2, abs=1e-6)


@pytest.mark.parametrize(("bias", "expected"), [(0.0, []), (-1.0, []), (-1.5, [("LOC", "graz", 3)]), (1.0, [])])
def test_outside_bias(bias: float, expected: list[Any]) -> None:
    """The bias is added to the logit of O, and nothing else; below zero more is found."""
    encoded, (logits,) = by_word("in graz", "O", "O")
    at = encoded.windows[0].word_ids.index(1)
    logits[at] = row(2.25, 0, 0, 1, 0)
    before = logits.copy()
    answer = entities(encoded, [logits], tagger(outside_bias=bias))
    assert named(answer) == expected
    assert (logits == before).all(), "the caller's logits were written into"
    if expected:
        parts = np.exp([2.25 + bias, 0, 0, 1, 0])
        assert answer[0]["score"] == pytest.approx(parts[3] / parts.sum(), abs=1e-6)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("text", "names"),
    [
        (f"{FAMILY} Zoë lives in Graz.", {"Zoë": "PER", "Graz": "LOC"}),
        ("👍🏽👍🏽 (London)", {"London": "LOC"}),
        ("   London  and\u00a0Graz ", {"London": "LOC", "Graz": "LOC"}),
        ("Jose\u0301 met Zoe\u0308 and O\u0308mer", {"Jose\u0301": "PER", "Zoe\u0308": "PER", "O\u0308mer": "PER"}),
        ("ﬁne ½ İstanbul ße Köln", {"İstanbul": "LOC", "Köln": "LOC"}),
        ("انتقلت من القاهرة إلى بيروت", {"القاهرة": "LOC", "بيروت": "LOC"}),
        ("שלום Ada מירושלים", {"Ada": "PER", "מירושלים": "LOC"}),
        ("right \u202eto left\u202c or \u200fGraz in London", {"London": "LOC"}),
        ("在北京工作", {"北京": "LOC"}),
        ("王芳，李明在 Graz", {"王芳": "PER", "李明": "PER", "Graz": "LOC"}),
        ("नमस्ते दिल्ली!", {"दिल्ली": "LOC"}),
        ("San\nMarino, New\tYork", {"San\nMarino": "LOC", "New\tYork": "LOC"}),
        ("São Paulo/Graz: “London”", {"São Paulo": "LOC", "Graz": "LOC", "London": "LOC"}),
        ("zero\u200bwidth so\u00adft Gr\u00adaz", {"Gr\u00adaz": "LOC"}),
        ("[SEP] <s> Graz </s> [CLS]", {"Graz": "LOC"}),
        ("Graz\x00 \ufffd London", {"London": "LOC"}),
    ],
    ids=range(16),
)
def test_offsets(kind: str, text: str, names: dict[str, str]) -> None:
    """Names are found where they stand: offsets are Unicode code points of the text as sent."""
    expected = [(group, name, text.index(name)) for name, group in names.items()]
    assert found_in(text, kind, names) == expected


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("strategy", ["simple", "average", "max"])
def test_offsets_of_other_strategies(kind: str, strategy: str) -> None:
    """Where a model is sure of every piece, the strategy makes no difference."""
    text = f"{FAMILY} Zoe\u0308 (Ada) lives in\u3000Graz."
    expected = [("PER", "Zoe\u0308", 8), ("PER", "Ada", 14), ("LOC", "Graz", 28)]
    assert [text[at : at + len(word)] for _, word, at in expected] == [word for _, word, _ in expected]
    assert found_in(text, kind, {word: kind for kind, word, _ in expected}, aggregation_strategy=strategy) == expected


def random_logits(encoded: Encoded, seed: int) -> list[Logits]:
    """A model that tags anything as anything."""
    random = np.random.default_rng(seed)
    return [random.normal(0, 3, (len(each.ids), len(LABELS))).astype(np.float32) for each in encoded.windows]


TEXTS = st.one_of(st.text(st.sampled_from(HARD_CHARACTERS)), st.text())


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=50)
@given(text=TEXTS, seed=st.integers(0, 2**32), strategy=st.sampled_from(STRATEGIES))
def test_places_property(kind: str, text: str, seed: int, strategy: str) -> None:
    """Whatever the text and the model: `text[start:end]` is the word, and no two entities overlap."""
    task = tagger(stride=3)
    encoded = encode(tokenizer_of(kind, task, max_length=9), task, text)
    answer = entities(encoded, random_logits(encoded, seed), task, aggregation_strategy=strategy)
    for entity in answer:
        assert text[entity["start"] : entity["end"]] == entity["word"] == entity["word"].strip() != ""
        assert 0 < entity["score"] <= 1
    if strategy != "none":
        assert all(before["end"] <= after["start"] for before, after in pairwise(answer))


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=50)
@given(before=TEXTS, after=TEXTS)
def test_found_property(kind: str, before: str, after: str) -> None:
    """A name between spaces is found at its own place, whatever stands before it and after it."""
    task = tagger(stride=6)
    before = before.lstrip(MISPLACED)
    text = f"{before} London {after}"
    start = len(before) + 1
    encoded = encode(tokenizer_of(kind, task, max_length=24), task, text)
    answer = entities(encoded, model_of({(start, start + 6): "LOC"}, encoded), task)
    assert named(answer) == [("LOC", "London", start)]


def by_id(window: Encoding) -> Logits:
    """A model that tags a token by its number alone."""
    return np.stack([_logits_of_id(number) for number in window.ids])


@cache
def _logits_of_id(number: int) -> Logits:
    return np.random.default_rng(number).normal(0, 4, len(LABELS)).astype("f4")


def near_sighted(window: Encoding) -> Logits:
    """The same, but it errs in a window's first and last two tokens unless the text begins or ends there."""
    logits = by_id(window)
    first = [at for at, special in enumerate(window.special_tokens_mask) if not special]
    for at in (*first[:2], *first[-2:]):
        logits[at] = row(0, 0, 0, 0, 9)
    return logits


WORDS = [
    "Ada",
    "lived",
    "in",
    "London",
    "before",
    "she",
    "moved",
    "to",
    "Graz,",
    "王芳住在北京。",
    "القاهرة",
    "parcel",
    "👍",
    "refund",
]


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("max_length", "stride"), [(12, 0), (12, 4), (17, 9), (32, 29)])
@settings(max_examples=20)
@given(words=st.lists(st.sampled_from(WORDS), min_size=8, max_size=60))
def test_windows_property(kind: str, max_length: int, stride: int, words: list[str]) -> None:
    """Text past a window gives the entities that one long window would."""
    assert windowed(kind, " ".join(words), by_id, max_length, stride) == windowed(kind, " ".join(words), by_id, 512, 0)


def windowed(kind: str, text: str, model: Callable[[Encoding], Logits], max_length: int, stride: int) -> Any:
    """The answer to a text through windows of so many tokens."""
    task = tagger(stride=stride)
    encoded = encode(tokenizer_of(kind, task, max_length), task, text)
    return entities(encoded, [model(window) for window in encoded.windows], task)


@pytest.mark.parametrize("kind", KINDS)
def test_each_token_is_read_where_it_has_most_context(kind: str) -> None:
    """A model that errs at a window's edges errs nowhere inside a long text whose windows overlap enough."""
    text = " ".join(WORDS * 4)
    whole = windowed(kind, text, by_id, 512, 0)
    inside = [entity for entity in whole if entity["start"] > 30 and entity["end"] < len(text) - 30]
    found = windowed(kind, text, near_sighted, 24, 8)
    assert [entity for entity in found if entity["start"] > 30 and entity["end"] < len(text) - 30] == inside
    assert len(inside) > 15
    assert windowed(kind, text, near_sighted, 24, 1) != windowed(kind, text, by_id, 24, 1), "the model does not err"


def test_nothing_to_tag() -> None:
    """A text that the tokenizer leaves nothing of has no entities."""
    encoded = encode(tokenizer_of("BERT", TASK), TASK, "\u200b\ufeff")
    assert entities(encoded, [np.zeros((len(encoded.windows[0].ids), len(LABELS)), dtype=np.float32)]) == []


def test_decision() -> None:
    """What counts is each entity's type and place, not how sure it is."""
    encoded, (logits,) = by_word("ada in graz", "B-PER", "O", "B-LOC")
    sure, unsure = entities(encoded, [logits]), entities(encoded, [logits / 2])
    assert sure != unsure
    assert TASK.decision(sure) == TASK.decision(unsure) == (("PER", 0, 3), ("LOC", 7, 11))
    assert TASK.predicted_labels(sure) == ["PER", "LOC"]


@pytest.mark.parametrize(
    "values",
    [{"aggregation_strategy": "last"}, {"ignore_labels": "O"}, {"ignore_labels": ["O"] * 1025}, {"stride": 3}],
)
def test_parameters_refused(values: dict[str, Any]) -> None:
    """A strategy is one of the five, and what a caller cannot have is refused rather than ignored."""
    with pytest.raises(ValueError, match="validation error"):
        TokenClassificationParameters.model_validate(values)
