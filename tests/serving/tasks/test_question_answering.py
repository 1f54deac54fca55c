"""Question answering: the passage that start and end logits point at, in the very context that was sent."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Encoding

from serving.errors import InputError, InputTooLarge
from serving.tasks.base import Encoded, Logits
from serving.tasks.question_answering import (
    N_BEST,
    QuestionAnswering,
    QuestionAnsweringParameters,
    QuestionAnsweringSettings,
)
from tests.serving.tasks.hand_made import KINDS, LIMITS, encode, tokenizer_of

QUESTION = "where is it?"
CONTEXT = "she lived in London before she moved to Cairo; our meeting is in Berlin"
FAMILY = "👨\u200d👩\u200d👧\u200d👦"
NEVER = -40.0
"""A logit that no score comes near."""


def asker(**options: Any) -> QuestionAnswering:
    """A task object of its own."""
    return QuestionAnswering([], QuestionAnsweringSettings(**{"stride": 0, "max_length": 512} | options), LIMITS)


TASK = asker()


def asked(context: str = CONTEXT, task: QuestionAnswering = TASK, kind: str = "mBERT") -> Encoded:
    """A question and its context, tokenised by a real tokenizer."""
    return encode(tokenizer_of(kind, task, task.settings.max_length), task, (QUESTION, context))


def model(encoded: Encoded, points: dict[str, float], nothing: float = NEVER) -> list[Logits]:
    """A model that gives a passage's first and last token half of its score each, and the first token no answer's."""
    return [_points(window, encoded.item[1], points, nothing) for window in encoded.windows]


def _points(window: Encoding, context: str, points: dict[str, float], nothing: float) -> Logits:
    logits = np.full((len(window.ids), 2), NEVER / 2, dtype=np.float32)
    logits[0] = nothing / 2
    for passage, score in points.items():
        rows = rows_of(window, context.index(passage), context.index(passage) + len(passage))
        if rows:
            logits[rows[0], 0], logits[rows[-1], 1] = score / 2, score / 2
    return logits


def rows_of(window: Encoding, start: int, end: int) -> list[int]:
    """The tokens of a passage of the context, where the window holds all of it."""
    within = [at for at, side in enumerate(window.sequence_ids) if side == 1]
    rows = [at for at in within if window.offsets[at][0] < end and start < window.offsets[at][1]]
    holds = rows and window.offsets[within[0]][0] <= start and end <= window.offsets[within[-1]][1]
    return rows if holds else []


def answers(encoded: Encoded, logits: list[Logits], task: QuestionAnswering = TASK, **parameters: Any) -> Any:
    """What is answered."""
    return task.decode(encoded, logits, QuestionAnsweringParameters(**parameters))


def test_best_passage() -> None:
    """The answer is the passage of the highest start plus end, with its place and its share of the probability."""
    encoded = asked()
    answer = answers(encoded, model(encoded, {"London": 6.0, "Berlin": 4.0}))
    assert {key: answer[key] for key in ("answer", "start", "end")} == {"answer": "London", "start": 13, "end": 19}
    # London, Berlin, and all that lies from the one to the other.
    assert answer["score"] == pytest.approx(np.exp(6) / (np.exp(6) + np.exp(4) + np.exp(5)), abs=1e-6)
    assert list(answer) == ["answer", "score", "start", "end"]
    assert [type(value) for value in answer.values()] == [str, float, int, int]


def test_top_k() -> None:
    """top_k gives a list, best first; the scores are of one distribution, whatever top_k is."""
    encoded = asked()
    logits = model(encoded, {"London": 6.0, "Berlin": 4.0})
    best = answers(encoded, logits)
    listed = answers(encoded, logits, top_k=3, max_answer_len=5)
    assert [each["answer"] for each in listed[:2]] == ["London", "Berlin"]
    assert listed[0]["score"] > best["score"], "the long passage from London to Berlin shared the probability"
    assert listed[0]["score"] == pytest.approx(1 / (1 + np.exp(-2)), abs=1e-6)
    assert answers(encoded, logits, top_k=2, max_answer_len=5) == listed[:2]
    many = answers(encoded, logits, top_k=N_BEST)
    assert len(many) == N_BEST
    assert [each["score"] for each in many] == sorted((each["score"] for each in many), reverse=True)
    assert len({(each["start"], each["end"]) for each in many}) == N_BEST
    assert sum(each["score"] for each in many) == pytest.approx(1.0)


@pytest.mark.parametrize(("longest", "expected"), [(1, "Cairo"), (2, "Cairo"), (30, "London before she moved")])
def test_max_answer_len(longest: int, expected: str) -> None:
    """A passage of more tokens is no answer, whether the model's settings or the caller say how many."""
    encoded = asked()
    cairo = rows_of(encoded.windows[0], CONTEXT.index("Cairo"), CONTEXT.index("Cairo") + 5)
    longest += len(cairo) - 1
    logits = model(encoded, {"London before she moved": 6.0, "Cairo": 4.0})
    assert answers(encoded, logits, max_answer_len=longest)["answer"] == expected
    assert answers(encoded, logits, asker(max_answer_len=longest))["answer"] == expected
    assert answers(encoded, logits, asker(max_answer_len=1), max_answer_len=longest)["answer"] == expected


def test_exactly_as_long() -> None:
    """A passage of just as many tokens as are allowed is an answer, one of a token more is not."""
    encoded = asked()
    passage = "London before she moved"
    tokens = len(rows_of(encoded.windows[0], CONTEXT.index(passage), CONTEXT.index(passage) + len(passage)))
    logits = model(encoded, {passage: 6.0})
    assert answers(encoded, logits, max_answer_len=tokens)["answer"] == passage
    assert answers(encoded, logits, max_answer_len=tokens - 1)["answer"] != passage


def test_end_before_start() -> None:
    """A passage does not run backwards."""
    encoded = asked()
    (logits,) = model(encoded, {})
    (window,) = encoded.windows
    logits[rows_of(window, CONTEXT.index("Berlin"), CONTEXT.index("Berlin") + 6)[0], 0] = 9
    logits[rows_of(window, CONTEXT.index("London"), CONTEXT.index("London") + 6)[-1], 1] = 9
    answer = answers(encoded, [logits])
    assert answer["start"] < answer["end"]
    assert (answer["start"], answer["end"]) != (CONTEXT.index("London"), CONTEXT.index("Berlin") + 6)


@pytest.mark.parametrize("side", [0, None])
def test_only_the_context(side: int | None) -> None:
    """Neither the question nor a special token is an answer, however high its logits."""
    encoded = asked()
    (logits,) = model(encoded, {"Cairo": 2.0})
    for at, found in enumerate(encoded.windows[0].sequence_ids):
        if found == side:
            logits[at] = 50
    assert answers(encoded, [logits])["answer"] == "Cairo"


@pytest.mark.parametrize(
    ("nothing", "threshold", "asks", "expected"),
    [
        (9.0, None, None, "London"),  # trained on answers alone: there is always one
        (9.0, None, True, ""),
        (6.5, None, True, ""),
        (5.5, None, True, "London"),
        (9.0, 0.0, None, ""),
        (9.0, 0.0, False, "London"),
        (9.0, 2.5, None, ""),  # no answer is ahead by 3
        (9.0, 3.5, None, "London"),
        (9.0, 3.0, None, "London"),  # by just as much as it must be past
        (5.0, -1.5, None, ""),
        (5.0, -0.5, None, "London"),
        (9.0, 3.5, True, "London"),
    ],
)
def test_no_answer(nothing: float, threshold: float | None, asks: bool | None, expected: str) -> None:
    """No answer is answered where its score is past the best passage's by more than the threshold."""
    encoded, task = asked(), asker(no_answer_threshold=threshold)
    logits = model(encoded, {"London": 6.0}, nothing)
    answer = answers(encoded, logits, task, handle_impossible_answer=asks)
    assert answer["answer"] == expected
    assert task.no_answer_margin(encoded, logits) == pytest.approx(nothing - 6.0)
    if not expected:
        assert (answer["start"], answer["end"]) == (0, 0)
        assert task.decision(answer) == (0, 0)


def test_no_answer_among_several() -> None:
    """Where no answer may be one, it takes part in the probability and stands where its score puts it."""
    encoded, task = asked(), asker(no_answer_threshold=0.0)
    logits = model(encoded, {"London": 6.0, "Berlin": 4.0}, nothing=5.0)
    listed = answers(encoded, logits, task, top_k=3, max_answer_len=5)
    assert [each["answer"] for each in listed] == ["London", "", "Berlin"]
    parts = np.exp([6.0, 5.0, 4.0])
    assert [each["score"] for each in listed] == pytest.approx((parts / parts.sum()).tolist(), abs=1e-6)
    assert "" not in [each["answer"] for each in answers(encoded, logits, top_k=N_BEST)]


LONG = "nothing here " * 30 + "she lived in London before she moved " + "and nothing there " * 30


def test_long_context() -> None:
    """An answer far past the first window is found, its place counted in the whole context."""
    task = asker(max_length=40, stride=8)
    encoded = asked(LONG, task)
    assert len(encoded.windows) > 5
    assert not rows_of(encoded.windows[0], LONG.index("London"), LONG.index("London") + 6)
    answer = answers(encoded, model(encoded, {"London": 6.0}), task)
    assert (answer["answer"], answer["start"]) == ("London", LONG.index("London"))


def test_a_passage_in_two_windows_counts_once() -> None:
    """Where windows overlap, the same passage is one answer with its better score, and takes one share."""
    task = asker(max_length=40, stride=16)
    encoded = asked(LONG, task)
    start = LONG.index("London")
    holding = [at for at, window in enumerate(encoded.windows) if rows_of(window, start, start + 6)]
    assert len(holding) >= 2
    logits = model(encoded, {"London": 6.0, "moved": 4.0})
    for at in holding[1:]:
        logits[at][logits[at] > 2.5] = 2.5  # surer in one window than in the others
    listed = answers(encoded, logits, task, top_k=N_BEST, max_answer_len=3)
    assert [each["answer"] for each in listed].count("London") == 1
    assert listed[0]["answer"] == "London"
    assert listed[0]["score"] / listed[1]["score"] == pytest.approx(np.exp(2), rel=1e-5)


def test_no_answer_of_several_windows() -> None:
    """No answer must win in every window: its score is the lowest of theirs."""
    task = asker(max_length=40, stride=8, no_answer_threshold=0.0)
    encoded = asked(LONG, task)
    logits = model(encoded, {"London": 6.0}, nothing=9.0)
    assert answers(encoded, logits, task)["answer"] == ""
    logits[3][0] = 1.0
    assert answers(encoded, logits, task)["answer"] == "London"
    assert task.no_answer_margin(encoded, logits) == pytest.approx(2.0 - 6.0)


def by_id(window: Encoding) -> Logits:
    """A model that scores a token by its number alone."""
    return np.array([[number * 7 % 31 / 4, number * 11 % 29 / 4] for number in window.ids], dtype=np.float32)


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=50)
@given(words=st.lists(st.sampled_from([*CONTEXT.split(), "我的包裹", "القاهرة", FAMILY]), min_size=1, max_size=60))
def test_windows_property(kind: str, words: list[str]) -> None:
    """The best passage of a long context is the one that a long window would find, if windows share enough for it."""
    context = " ".join(words)
    short, long = asker(max_length=48, stride=16, max_answer_len=8), asker(max_answer_len=8)
    found = [
        answers(each, [by_id(window) for window in each.windows], task)
        for task in (short, long)
        for each in [asked(context, task, kind)]
    ]
    assert found[0]["answer"] == found[1]["answer"]
    assert context[found[0]["start"] : found[0]["end"]] == found[0]["answer"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("context", "passage"),
    [
        (f"{FAMILY} Zoë lives in Graz", "Graz"),
        (f"{FAMILY} 👍🏽 here", "👍🏽"),
        ("   it is in  London  ", "London"),
        ("by Jose\u0301 and Zoe\u0308 here", "Jose\u0301"),
        ("by Jose\u0301 and Zoe\u0308 here", "Zoe\u0308"),
        ("会议。北京。九点半", "北京"),
        ("انتقلت من القاهرة إلى بيروت", "القاهرة إلى بيروت"),
        ("הוא נסע מתל אביב לירושלים", "אביב לירושלים"),
        ("in\tNew\nYork here", "New\nYork"),
        ("ﬁne ½ İstanbul", "İstanbul"),
    ],
    ids=range(10),
)
def test_offsets(kind: str, context: str, passage: str) -> None:
    """A passage is answered as it stands in the context: offsets are Unicode code points of the text as sent."""
    encoded = asked(context, kind=kind)
    answer = answers(encoded, model(encoded, {passage: 9.0}))
    assert (answer["answer"], answer["start"]) == (passage, context.index(passage))
    assert answer["end"] == answer["start"] + len(passage)


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=50)
@given(
    context=st.one_of(st.text("aZé e\u0301我京カ゚ا\u064b\u200dד👩🏽\u200b\u00ad\n\u3000.'½ﬁ\x00"), st.text()),
    seed=st.integers(0, 9999),
)
def test_places_property(kind: str, context: str, seed: int) -> None:
    """Whatever the context and the model: `context[start:end]` is the answer, and no answer is of white space."""
    task = asker(max_length=24, stride=6)
    encoded = asked(context, task, kind)
    random = np.random.default_rng(seed)
    logits = [random.normal(0, 3, (len(each.ids), 2)).astype(np.float32) for each in encoded.windows]
    listed = answers(encoded, logits, task, top_k=5)
    for each in listed:
        assert context[each["start"] : each["end"]] == each["answer"] == each["answer"].strip()
        assert each["answer"] or len(listed) == 1
    assert len({(each["start"], each["end"]) for each in listed}) == len(listed)
    assert answers(encoded, logits, task) == listed[0]


def test_the_space_before_a_word_makes_no_other_passage() -> None:
    """Passages that differ by white space alone are one answer: a tokenizer may count the space to the word."""
    encoded = asked("it is in Oslo", kind="DeBERTa")
    (window,) = encoded.windows
    logits = model(encoded, {"Oslo": 6.0})
    rows = rows_of(window, 9, 13)
    assert window.offsets[rows[0] - 1] == (8, 9), "the space is a token"
    logits[0][rows[0] - 1, 0] = 2.5
    listed = answers(encoded, logits, top_k=2)
    assert [each["answer"] for each in listed].count("Oslo") == 1
    assert listed[0]["score"] == pytest.approx(1.0, abs=1e-6)


def test_nothing_in_the_context() -> None:
    """A context that the tokenizer leaves nothing of has no answer, for sure."""
    encoded = asked("\u200b\ufeff", kind="BERT")
    assert answers(encoded, model(encoded, {})) == {"answer": "", "score": 1.0, "start": 0, "end": 0}


def test_decision() -> None:
    """What counts is where the best answer lies, whether one was asked for or several."""
    encoded = asked()
    logits = model(encoded, {"London": 6.0, "Berlin": 4.0})
    one, several = answers(encoded, logits), answers(encoded, logits, top_k=5)
    assert TASK.decision(one) == TASK.decision(several) == (13, 19)
    assert list(TASK.predicted_labels(one)) == []


def test_check() -> None:
    """A question comes with its context; the item is both."""
    assert TASK.check({"context": "b", "question": "a"}) == ("a", "b")


@pytest.mark.parametrize(
    ("value", "message", "field"),
    [
        ({"question": "a"}, r'^inputs\.context is missing; give {"question": "…", "context": "…"}$', "inputs.context"),
        ({"context": "a"}, r"^inputs\.question is missing", "inputs.question"),
        ({"question": " ", "context": "a"}, r"^inputs\.question is empty", "inputs.question"),
        ({"question": "a", "context": 3}, r"^inputs\.context must be a text, found a number", "inputs.context"),
        ("a", r'^inputs must be an object {"question": "…", "context": "…"}, found a text', "inputs"),
        ({"question": "a", "context": "b", "id": 1}, "^inputs: unknown key 'id'", "inputs"),
    ],
)
def test_refused(value: Any, message: str, field: str) -> None:
    """What is no question and context is told which of them is wrong."""
    with pytest.raises(InputError, match=message) as caught:
        TASK.check(value)
    assert caught.value.field == field


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("stride", [0, 4, 8])
def test_question_too_long(kind: str, stride: int) -> None:
    """A question that leaves too little room for context is refused with the tokens it may have; a shorter one fits."""
    task = asker(max_length=32, stride=stride)
    tokenizer = tokenizer_of(kind, task, max_length=32)
    with pytest.raises(InputTooLarge, match=r"^inputs\[2\]\.question has more than \d+ tokens$") as caught:
        task.check_tokens(tokenizer, ("where " * 40, CONTEXT), "inputs[2]")
    assert caught.value.field == "inputs[2].question"
    lengths = [count for count in range(1, 40) if fits(task, kind, "a " * count)]
    assert lengths
    assert lengths == list(range(1, lengths[-1] + 1))
    encoded = encode(tokenizer, task, ("a " * lengths[-1], CONTEXT))
    assert all(1 in window.sequence_ids for window in encoded.windows)
    assert rows_of(encoded.windows[-1], len(CONTEXT) - 1, len(CONTEXT)), "the windows reach the context's end"


def fits(task: QuestionAnswering, kind: str, question: str) -> bool:
    """Whether a question is short enough."""
    try:
        task.check_tokens(tokenizer_of(kind, task, task.settings.max_length), (question, CONTEXT))
    except InputTooLarge:
        return False
    return True


@pytest.mark.parametrize(
    "values",
    [{"top_k": 0}, {"top_k": N_BEST + 1}, {"max_answer_len": 0}, {"handle_impossible_answer": 1}, {"doc_stride": 9}],
)
def test_parameters_refused(values: dict[str, Any]) -> None:
    """Parameters are bounded and typed, and what a caller cannot have is refused rather than ignored."""
    with pytest.raises(ValueError, match="validation error"):
        QuestionAnsweringParameters.model_validate(values)
