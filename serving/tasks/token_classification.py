"""Token classification: a text's named entities.

Labels are BIO tags (Ramshaw and Marcus 1995; IOB2 since Tjong Kim Sang and Veenstra 1999). Long text is read in
overlapping windows.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, TypedDict

import numpy as np
from pydantic import Field

from serving.tasks.activations import Scores, apply_function, scale_odds
from serving.tasks.base import Datatype, Encoded, Logits, PostprocessedSettings, TaskParameters, object_schema
from serving.tasks.inputs import TextTask
from serving.tasks.spans import Token, group_pieces, group_words, merge_windows, trim, visible_tokens
from serving.tasks.strict_model import FailFastList
from serving.tasks.viterbi import LEAST, best_sequence

OUTSIDE = "O"
"""The tag of a token in no entity."""

Strategy = Literal["none", "simple", "first", "average", "max"]


class TokenClassificationSettings(PostprocessedSettings):
    stride: int = Field(default=32, ge=0, description="tokens that neighbouring windows share")
    well_formed: bool = Field(
        default=True,
        description="the most probable sequence of tags in which I- follows its type; false: each word has its most"
        " probable tag, of any scheme, and neighbours of one type are one entity",
    )
    outside_bias: float = Field(
        default=0.0,
        allow_inf_nan=False,
        description="added to the logit of O: below zero more entities are found, and more of them wrong",
    )
    scale: float = Field(
        default=1.0,
        gt=0,
        allow_inf_nan=False,
        description="a score is the sigmoid of scale times its log odds plus bias, the probability of a right entity;"
        " fitted to the validation rows",
    )
    bias: float = Field(default=0.0, allow_inf_nan=False, description="see scale")


class TokenClassificationParameters(TaskParameters):
    """As in Hugging Face's token-classification task."""

    aggregation_strategy: Strategy = Field(
        default="first",
        description="what decides a word's tag: its first piece, their average, the surest one; simple: pieces are"
        " words; none: every piece by itself",
    )
    ignore_labels: FailFastList[str] = Field(
        default=[OUTSIDE], max_length=1024, description="tags or entity groups that are left out"
    )


class Entity(TypedDict):
    """A span of the text in Unicode code points; ``end`` is exclusive."""

    entity_group: str
    score: float
    word: str
    start: int
    end: int


@dataclass(frozen=True)
class _Unit:
    start: int
    end: int
    tag: str
    score: float


DEFAULT = TokenClassificationParameters()


class TokenClassification(TextTask):
    name = "token-classification"
    output_tensors: ClassVar[Mapping[str, Datatype]] = {
        "entity_group": "BYTES", "score": "FP32", "word": "BYTES", "start": "INT64", "end": "INT64",
    }  # fmt: skip
    score_parameters = frozenset({"aggregation_strategy", "ignore_labels"})
    settings_type = TokenClassificationSettings
    parameters_type = TokenClassificationParameters
    needs_offsets = True
    lone_answer_in_list = False
    settings: TokenClassificationSettings

    @property
    def max_windows(self) -> None:
        return None

    @property
    def stride(self) -> int:
        return self.settings.stride

    def validate_settings(self) -> str:
        if not self.settings.well_formed:
            return "" if self.labels else "labels: there are none"
        if OUTSIDE not in self.labels:
            return "labels: there is no tag O"
        wrong = [label for label in self.labels if label != OUTSIDE and not re.fullmatch("[BI]-.+", label, re.DOTALL)]
        return f"labels: {wrong[0]!r} is no BIO tag" if wrong else ""

    def decode_and_change(
        self, encoded: Encoded, logits: Sequence[Logits], parameters: TokenClassificationParameters | None
    ) -> Any:
        """Single pieces stay as they are: post-processing is of entities."""
        if parameters and parameters.aggregation_strategy == "none":
            return self.decode(encoded, logits, parameters)
        return super().decode_and_change(encoded, logits, parameters)

    def decode(
        self, encoded: Encoded, logits: Sequence[Logits], parameters: TokenClassificationParameters | None = None
    ) -> list[Entity] | list[dict[str, Any]]:
        """The entities in text order; ``logits``: [tokens, labels] a window."""
        options = parameters or DEFAULT
        tokens = visible_tokens(encoded.item, merge_windows(encoded.windows, self.stride))
        if not tokens:
            return []
        scores = self._scores(tokens, logits)
        if options.aggregation_strategy == "none":
            return self._pieces(encoded.item, tokens, scores, options)
        units = self._units(encoded.item, tokens, scores, options.aggregation_strategy)
        entities = (self._entity(encoded.item, group) for group in _group_entities(units))
        return [entity for entity in entities if entity["entity_group"] not in options.ignore_labels]

    def decision(self, answer: list[dict[str, Any]]) -> Hashable:
        return tuple((entity.get("entity_group"), entity["start"], entity["end"]) for entity in answer)

    def predicted_labels(self, answer: list[dict[str, Any]]) -> Sequence[str]:
        return [entity.get("entity_group", entity.get("entity", "")) for entity in answer]

    def confidence(self, answer: list[dict[str, Any]]) -> float | None:
        return min(entity["score"] for entity in answer) if answer else None

    def answer_schema(self) -> dict[str, Any]:
        offset = {"type": "integer", "minimum": 0}
        span = {"score": {"type": "number"}, "word": {"type": "string"}, "start": offset, "end": offset}
        entity = object_schema({"entity_group": {"type": "string"}, **span})
        piece = object_schema({"entity": {"type": "string"}, "index": offset, **span})
        return {"type": "array", "items": {"oneOf": [entity, piece]}}

    def _scores(self, tokens: Sequence[Token], logits: Sequence[Logits]) -> Scores:
        """Probabilities [tokens, labels]."""
        starts = [0, *itertools.accumulate(map(len, logits))]
        rows = np.concatenate(logits)[[starts[token.window] + token.row for token in tokens]]
        if self.settings.outside_bias and OUTSIDE in self.labels:
            rows[:, self.labels.index(OUTSIDE)] += self.settings.outside_bias
        return apply_function(rows, "softmax")

    def score(self, probabilities: Sequence[float] | Scores) -> float:
        """An entity's, from the probabilities of its words' tags."""
        return float(scale_odds(np.array(np.mean(probabilities)), self.settings.scale, self.settings.bias))

    def _entity(self, text: str, group: Sequence[_Unit]) -> Entity:
        start, end = group[0].start, group[-1].end
        score = self.score([unit.score for unit in group])
        kind = type_of(group[0].tag)
        return {"entity_group": kind, "score": score, "word": text[start:end], "start": start, "end": end}

    def _units(self, text: str, tokens: Sequence[Token], scores: Scores, strategy: str) -> Iterator[_Unit]:
        words = group_pieces(tokens) if strategy == "simple" else group_words(text, tokens)
        spans, merged, row = [], [], 0
        for word in words:
            pieces = scores[row : row + len(word)]
            row += len(word)
            start, end = trim(text, word[0].start, word[-1].end)
            if start < end:  # white space neither is an entity nor ends one
                spans.append((start, end))
                merged.append(_merge(pieces, strategy, self.labels))
        best_tags = (
            best_sequence(merged, self.labels) if self.settings.well_formed else [int(p.argmax()) for p in merged]
        )
        for span, probabilities, best in zip(spans, merged, best_tags, strict=True):
            yield _Unit(*span, self.labels[best], float(probabilities[best]))

    def _pieces(
        self, text: str, tokens: Sequence[Token], scores: Scores, options: TokenClassificationParameters
    ) -> list[dict[str, Any]]:
        pieces = []
        for index, (token, row) in enumerate(zip(tokens, scores, strict=True), 1):
            start, end = trim(text, token.start, token.end)
            label = self.labels[int(row.argmax())]
            if start < end and label not in options.ignore_labels:
                span = {"score": self.score([row.max()]), "word": text[start:end], "start": start, "end": end}
                pieces.append({"entity": label, "index": index, **span})
        return pieces


def kind_of(tag: str) -> str:
    """Without the B- or I- of its scheme."""
    return tag[2:] if tag[:2] in ("B-", "I-") else tag


def type_of(tag: str) -> str:
    """An entity's, whatever the scheme's prefix."""
    return tag.partition("-")[2] or tag


def _merge(pieces: Scores, strategy: str, labels: Sequence[str]) -> Scores:
    """A word's probabilities [labels] from its pieces' [pieces, labels]."""
    if strategy == "average":
        return _begin_as_first(pieces[0], pieces.mean(axis=0), labels)
    if strategy == "max":
        return _begin_as_first(pieces[0], pieces[int(pieces.max(axis=1).argmax())], labels)
    first: Scores = pieces[0]
    return first


def _begin_as_first(first: Scores, merged: Scores, labels: Sequence[str]) -> Scores:
    """``merged``, with the first piece's proportion of B- to I- of each type: later pieces begin no entity."""
    result = merged.copy()
    for begin, label in enumerate(labels):
        inside = labels.index(f"I-{label[2:]}") if label[:2] == "B-" and f"I-{label[2:]}" in labels else None
        if inside is not None:
            share = first[begin] / max(first[begin] + first[inside], LEAST)
            total = merged[begin] + merged[inside]
            result[begin], result[inside] = share * total, (1 - share) * total
    return result


def _group_entities(units: Iterator[_Unit]) -> Iterator[list[_Unit]]:
    """Units of one entity: neighbours of one type, of which only the first may have B-."""
    group: list[_Unit] = []
    for unit in units:
        if group and (unit.tag[:2] == "B-" or kind_of(unit.tag) != kind_of(group[-1].tag)):
            yield group
            group = []
        if unit.tag != OUTSIDE:
            group.append(unit)
    if group:
        yield group
