"""Token classification: a text in, its named entities out, with their places in the very text that was sent.

Labels are BIO tags (Ramshaw and Marcus 1995; IOB2 since Tjong Kim Sang and Veenstra 1999). Text past a window is read
through overlapping windows, each token in the one that shows the most context around it.
"""

from __future__ import annotations

import re
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, TypedDict

import numpy as np
from pydantic import Field

from serving.tasks import base
from serving.tasks.activations import Scores, apply_function
from serving.tasks.base import Datatype, Encoded, Logits, Task, object_schema
from serving.tasks.inputs import check_text, text_schema
from serving.tasks.spans import Token, pieces_of, placed, tokens_of, trimmed, words_of
from serving.tasks.strict_model import FailFastList
from serving.tasks.viterbi import LEAST, best_sequence

OUTSIDE = "O"
Strategy = Literal["none", "simple", "first", "average", "max"]


class TokenClassificationSettings(base.TaskSettings):
    """How entities are found."""

    stride: int = Field(default=32, ge=0, description="tokens that neighbouring windows share")
    outside_bias: float = Field(
        default=0.0,
        allow_inf_nan=False,
        description="added to the logit of O: below zero more entities are found, and more of them wrong",
    )


class TokenClassificationParameters(base.TaskParameters):
    """What a caller may ask for, as Hugging Face's token-classification task names it."""

    aggregation_strategy: Strategy = Field(
        default="first",
        description="what decides a word's tag: its first piece, their average, the surest one; simple: pieces are"
        " words; none: every piece by itself",
    )
    ignore_labels: FailFastList[str] = Field(
        default=[OUTSIDE], max_length=1024, description="tags or entity groups that are left out"
    )


class Entity(TypedDict):
    """A passage of the text; ``start`` and ``end`` count Unicode code points, the end is not in it."""

    entity_group: str
    score: float
    word: str
    start: int
    end: int


@dataclass(frozen=True)
class _Unit:
    """A word, or a piece of one: its place, its tag, how sure that is."""

    start: int
    end: int
    tag: str
    score: float


DEFAULT = TokenClassificationParameters()


class TokenClassification(Task):
    """A BIO tag for each token, aggregated to entities."""

    name = "token-classification"
    output_tensors: ClassVar[Mapping[str, Datatype]] = {
        "entity_group": "BYTES", "score": "FP32", "word": "BYTES", "start": "INT64", "end": "INT64",
    }  # fmt: skip
    score_parameters = frozenset({"aggregation_strategy", "ignore_labels"})
    settings_type: ClassVar[type[base.TaskSettings]] = TokenClassificationSettings
    parameters_type: ClassVar[type[base.TaskParameters]] = TokenClassificationParameters
    uses_windows = True
    needs_offsets = True
    lone_answer_in_list = False
    settings: TokenClassificationSettings

    @property
    def stride(self) -> int:
        """Tokens that neighbouring windows share."""
        return self.settings.stride

    def validate_settings(self) -> str:
        """Labels are BIO tags, O among them."""
        if OUTSIDE not in self.labels:
            return "labels: there is no tag O"
        wrong = [label for label in self.labels if label != OUTSIDE and not re.fullmatch("[BI]-.+", label, re.DOTALL)]
        return f"labels: {wrong[0]!r} is no BIO tag" if wrong else ""

    def check(self, inputs: Any, field: str = "inputs") -> str:
        """A text; raises InputError."""
        return check_text(inputs, field, self.limits)

    def segments(self, item: str) -> str:
        """The text itself."""
        return item

    def decode(
        self, encoded: Encoded, logits: Sequence[Logits], parameters: TokenClassificationParameters | None = None
    ) -> list[Entity] | list[dict[str, Any]]:
        """The entities in the order of the text; ``logits``: [tokens, labels] a window."""
        options = parameters or DEFAULT
        tokens = placed(encoded.item, tokens_of(encoded.windows, self.stride))
        if not tokens:
            return []
        scores = self._scores(tokens, logits)
        if options.aggregation_strategy == "none":
            return self._pieces(encoded.item, tokens, scores, options)
        units = self._units(encoded.item, tokens, scores, options.aggregation_strategy)
        found = (_entity(encoded.item, run) for run in _runs(units))
        return [entity for entity in found if entity["entity_group"] not in options.ignore_labels]

    def decision(self, answer: list[dict[str, Any]]) -> Hashable:
        """Each entity's type and place."""
        return tuple((entity.get("entity_group"), entity["start"], entity["end"]) for entity in answer)

    def predicted_labels(self, answer: list[dict[str, Any]]) -> Sequence[str]:
        """The type of each entity."""
        return [entity.get("entity_group", entity.get("entity", "")) for entity in answer]

    def confidence(self, answer: list[dict[str, Any]]) -> float | None:
        """The score of the entity that is least sure, where there is one."""
        return min(entity["score"] for entity in answer) if answer else None

    def input_schema(self) -> dict[str, Any]:
        """A text."""
        return text_schema(self.limits)

    def answer_schema(self) -> dict[str, Any]:
        """A list of entities."""
        offset = {"type": "integer", "minimum": 0}
        place = {"score": {"type": "number"}, "word": {"type": "string"}, "start": offset, "end": offset}
        entity = object_schema({"entity_group": {"type": "string"}, **place})
        piece = object_schema({"entity": {"type": "string"}, "index": offset, **place})
        return {"type": "array", "items": {"oneOf": [entity, piece]}}

    def _scores(self, tokens: Sequence[Token], logits: Sequence[Logits]) -> Scores:
        """Probabilities [tokens, labels]."""
        rows = np.stack([logits[token.window][token.row] for token in tokens])
        if self.settings.outside_bias:
            rows[:, self.labels.index(OUTSIDE)] += self.settings.outside_bias
        return apply_function(rows, "softmax")

    def _units(self, text: str, tokens: Sequence[Token], scores: Scores, strategy: str) -> Iterator[_Unit]:
        words = pieces_of(tokens) if strategy == "simple" else words_of(text, tokens)
        places, merged, row = [], [], 0
        for word in words:
            pieces = scores[row : row + len(word)]
            row += len(word)
            start, end = trimmed(text, word[0].start, word[-1].end)
            if start < end:  # a word of white space neither is an entity nor ends one
                places.append((start, end))
                merged.append(_merge(pieces, strategy, self.labels))
        for place, found, best in zip(places, merged, best_sequence(merged, self.labels), strict=True):
            yield _Unit(*place, self.labels[best], float(found[best]))

    def _pieces(
        self, text: str, tokens: Sequence[Token], scores: Scores, options: TokenClassificationParameters
    ) -> list[dict[str, Any]]:
        pieces = []
        for index, (token, row) in enumerate(zip(tokens, scores, strict=True), 1):
            start, end = trimmed(text, token.start, token.end)
            label = self.labels[int(row.argmax())]
            if start < end and label not in options.ignore_labels:
                place = {"score": float(row.max()), "word": text[start:end], "start": start, "end": end}
                pieces.append({"entity": label, "index": index, **place})
        return pieces


def _merge(pieces: Scores, strategy: str, labels: Sequence[str]) -> Scores:
    """One word's probabilities [labels] from those of its pieces [pieces, labels]."""
    if strategy == "average":
        return _begun_by(pieces[0], pieces.mean(axis=0), labels)
    if strategy == "max":
        return _begun_by(pieces[0], pieces[int(pieces.max(axis=1).argmax())], labels)
    first: Scores = pieces[0]
    return first


def _begun_by(first: Scores, merged: Scores, labels: Sequence[str]) -> Scores:
    """``merged``, with each type's share of B- as the first piece has it: the others never begin an entity."""
    result = merged.copy()
    for begin, label in enumerate(labels):
        inside = labels.index(f"I-{label[2:]}") if label[:2] == "B-" and f"I-{label[2:]}" in labels else None
        if inside is not None:
            share = first[begin] / max(first[begin] + first[inside], LEAST)
            total = merged[begin] + merged[inside]
            result[begin], result[inside] = share * total, (1 - share) * total
    return result


def _runs(units: Iterator[_Unit]) -> Iterator[list[_Unit]]:
    """Units that make up one entity: B- begins one, I- goes on with it."""
    run: list[_Unit] = []
    for unit in units:
        if run and unit.tag[:2] != "I-":
            yield run
            run = []
        if unit.tag != OUTSIDE:
            run.append(unit)
    if run:
        yield run


def _entity(text: str, run: Sequence[_Unit]) -> Entity:
    start, end = run[0].start, run[-1].end
    score = float(np.mean([unit.score for unit in run]))
    return {"entity_group": run[0].tag[2:], "score": score, "word": text[start:end], "start": start, "end": end}
