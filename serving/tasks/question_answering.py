"""Extractive question answering: the span of a context that answers a question.

A long context is read in overlapping windows. A span scores start plus end logit; "no answer" scores the first token's
(Devlin et al. 2019, BERT, section 4.3).
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar, TypedDict

import numpy as np
from pydantic import Field
from tokenizers import Encoding, Tokenizer

from serving.errors import InputTooLarge
from serving.tasks.activations import apply_function
from serving.tasks.base import Datatype, Encoded, Logits, PostprocessedSettings, Task, TaskParameters, object_schema
from serving.tasks.inputs import check_object, text_schema
from serving.tasks.spans import trim_with_marks

KEYS = ("question", "context")
N_BEST = 20
"""Best spans that the softmax runs over, as in BERT's evaluation."""


class QuestionAnsweringSettings(PostprocessedSettings):
    stride: int = Field(default=128, ge=0, description="tokens of context that neighbouring windows share")
    max_length: int = Field(default=384, ge=8, description="tokens a window, question included")
    max_answer_len: int = Field(default=30, ge=1, description="tokens of the longest answer")
    no_answer_threshold: float | None = Field(
        default=None,
        allow_inf_nan=False,
        description="no answer where its score is past the best span's by more than this; null: there is always one",
    )
    temperature: float = Field(
        default=1.0,
        gt=0,
        allow_inf_nan=False,
        description="divides the answers' logits before softmax, so that a score is the probability of a right answer;"
        " fitted to the validation rows",
    )


class QuestionAnsweringParameters(TaskParameters):
    """As in Hugging Face's question-answering task."""

    top_k: int = Field(default=1, ge=1, le=N_BEST, description="how many answers, best first")
    max_answer_len: int | None = Field(default=None, ge=1, description="tokens of the longest answer")
    handle_impossible_answer: bool | None = Field(
        default=None, description="whether no answer may be answered; absent: as the model was trained"
    )


class Answer(TypedDict):
    """A span of the context in Unicode code points; ``end`` is exclusive."""

    answer: str
    score: float
    start: int
    end: int


@dataclass(frozen=True)
class _Span:
    score: float
    start: int
    end: int


DEFAULT = QuestionAnsweringParameters()


class QuestionAnswering(Task):
    name = "question-answering"
    output_tensors: ClassVar[Mapping[str, Datatype]] = {
        "answer": "BYTES", "score": "FP32", "start": "INT64", "end": "INT64",
    }  # fmt: skip
    score_parameters = frozenset({"max_answer_len", "handle_impossible_answer"})
    settings_type = QuestionAnsweringSettings
    parameters_type = QuestionAnsweringParameters
    truncation = "only_second"
    needs_offsets = True
    lone_answer_in_list = False
    settings: QuestionAnsweringSettings

    @property
    def max_windows(self) -> None:
        return None

    @property
    def stride(self) -> int:
        return self.settings.stride

    @property
    def logits_per_window(self) -> int:
        return 2

    def check(self, inputs: Any, field: str = "inputs") -> tuple[str, str]:
        question, context = check_object(inputs, field, KEYS, self.limits)
        return question, context

    def check_room(self, tokenizer: Tokenizer, item: tuple[str, str], field: str = "inputs") -> None:
        """The question must leave room for twice the stride: less makes very many windows."""
        room = self.settings.max_length - tokenizer.num_special_tokens_to_add(is_pair=True) - max(2 * self.stride, 1)
        if not _fits(tokenizer, item[0], room):
            raise InputTooLarge(f"{field}.question has more than {room} tokens", field=f"{field}.question")

    def segments(self, item: tuple[str, str]) -> tuple[str, str]:
        return item

    def decode_and_change(
        self, encoded: Encoded, logits: Sequence[Logits], parameters: QuestionAnsweringParameters | None
    ) -> Any:
        """Of several answers, each by itself."""
        found = self.decode(encoded, logits, parameters)
        change = partial(self.postprocess, item=encoded.item)
        return list(map(change, found)) if isinstance(found, list) else change(found)

    def decode(
        self, encoded: Encoded, logits: Sequence[Logits], parameters: QuestionAnsweringParameters | None = None
    ) -> Answer | list[Answer]:
        """The best answer, or a list of the ``top_k`` best; ``logits``: [tokens, 2] a window."""
        options = parameters or DEFAULT
        spans = self._best_spans(encoded, logits, options.max_answer_len or self.settings.max_answer_len)
        answers = self._answers(encoded.item[1], self._rank(spans, logits, options.handle_impossible_answer))
        return answers[0] if options.top_k == 1 else answers[: options.top_k]

    def decision(self, answer: Answer | list[Answer]) -> Hashable:
        best = answer[0] if isinstance(answer, list) else answer
        return best["start"], best["end"]

    def confidence(self, answer: Answer | list[Answer]) -> float | None:
        best = answer[0] if isinstance(answer, list) else answer
        return best["score"]

    def input_schema(self) -> dict[str, Any]:
        return object_schema({key: text_schema(self.limits) for key in KEYS})

    def answer_schema(self) -> dict[str, Any]:
        offset = {"type": "integer", "minimum": 0}
        answer = object_schema(
            {"answer": {"type": "string"}, "score": {"type": "number"}, "start": offset, "end": offset}
        )
        return {"oneOf": [answer, {"type": "array", "items": answer}]}

    def no_answer_margin(self, encoded: Encoded, logits: Sequence[Logits]) -> float:
        """Score of "no answer" minus the best span's, for `no_answer_threshold`."""
        spans = self._best_spans(encoded, logits, self.settings.max_answer_len)
        return _no_answer(logits).score - (spans[0].score if spans else -np.inf)

    def ranked_logits(self, encoded: Encoded, logits: Sequence[Logits]) -> list[float]:
        """Of the answers, the answered one first, by the task's own settings."""
        spans = self._best_spans(encoded, logits, self.settings.max_answer_len)
        return [span.score for span in self._rank(spans, logits, None)]

    def _best_spans(self, encoded: Encoded, logits: Sequence[Logits], longest: int) -> list[_Span]:
        """The best N_BEST distinct spans of all windows, best first."""
        found: dict[tuple[int, int], float] = {}
        for window, scores in zip(encoded.windows, logits, strict=True):
            for span in _spans_of(window, scores, longest):
                start, end = trim_with_marks(encoded.item[1], span.start, span.end)
                if start < end:  # white space answers nothing
                    found[start, end] = max(span.score, found.get((start, end), -np.inf))
        spans = [_Span(score, *place) for place, score in found.items()]
        return sorted(spans, key=lambda span: (-span.score, span.start, span.end))[:N_BEST]

    def _rank(self, spans: list[_Span], logits: Sequence[Logits], allow_none: bool | None) -> list[_Span]:
        """Spans and "no answer", best first."""
        threshold, nothing = self.settings.no_answer_threshold, _no_answer(logits)
        if not spans:
            return [nothing]
        if allow_none is False or (allow_none is None and threshold is None):
            return spans
        if nothing.score - spans[0].score > (threshold or 0.0):
            return [nothing, *spans]
        return [spans[0], *sorted([*spans[1:], nothing], key=lambda span: -span.score)]

    def _answers(self, context: str, spans: list[_Span]) -> list[Answer]:
        logits = np.array([span.score for span in spans], dtype=np.float32)
        scores = apply_function(logits.astype(np.float64) / self.settings.temperature, "softmax")
        return [
            {"answer": context[span.start : span.end], "score": float(score), "start": span.start, "end": span.end}
            for span, score in zip(spans, scores, strict=True)
        ]


def _no_answer(logits: Sequence[Logits]) -> _Span:
    return _Span(min(float(window[0].sum()) for window in logits), 0, 0)


def _fits(tokenizer: Tokenizer, question: str, room: int) -> bool:
    try:
        return len(tokenizer.encode(question, "", add_special_tokens=False).ids) <= room
    except Exception:  # tokenizers raises a bare one if the question alone exceeds the window
        return False


def _spans_of(window: Encoding, logits: Logits, longest: int) -> Iterator[_Span]:
    """The best spans of one window, in characters of the context."""
    places = [at for at, segment in enumerate(window.sequence_ids) if segment == 1]
    if not places:
        return
    first, count = places[0], len(places)
    starts, ends = logits[first : first + count, 0], logits[first : first + count, 1]
    width = min(longest, count)
    # [start, length - 1]: ends past the window score minus infinity.
    padded = np.concatenate([ends, np.full(width - 1, -np.inf, dtype=np.float32)])
    scores = starts[:, None] + np.lib.stride_tricks.sliding_window_view(padded, width)
    offsets = window.offsets
    for flat in np.argsort(-scores, axis=None, kind="stable")[:N_BEST].tolist():
        start, extra = divmod(flat, width)
        if np.isfinite(scores[start, extra]):
            left, right = offsets[first + start][0], offsets[first + start + extra][1]
            yield _Span(float(scores[start, extra]), left, right)
