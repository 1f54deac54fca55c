"""Inputs that are a text or a pair of texts, and the tasks that take them."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any, Self

from pydantic import Field, model_validator

from serving.bundle.manifest import Limits
from serving.errors import InputError, InputTooLarge
from serving.tasks.activations import SCORE_TENSORS, scores_schema
from serving.tasks.base import Logits, PostprocessedSettings, Segments, Task, TaskSettings, object_schema
from serving.tasks.personal_data import VERSION, PersonalData
from serving.tasks.processing import Preprocessing, Step
from serving.tasks.windows import Windows, aggregate

PAIR = ("text", "text_pair")

SPELLED_OUT = {"\ufdfa": 18, "\ufdfb": 8}
"""Letters that compatibility normalisation makes of a ligature; of any other character at most 7."""


class TextTask(Task):
    def check(self, inputs: Any, field: str = "inputs") -> str:
        return check_text(inputs, field, self.limits)

    def segments(self, item: str) -> str:
        return item

    def input_schema(self) -> dict[str, Any]:
        return text_schema(self.limits)


class ChangedTextSettings(TaskSettings):
    """Of tasks whose answers have no places in the text."""

    preprocess: tuple[Step, ...] = Field(
        default=(),
        exclude_if=lambda steps: not steps,
        description="extensions that change a text before it is read, in this order, as in the training; what is"
        " installed must be what was proven",
    )

    redact: tuple[PersonalData, ...] = Field(
        default=(),
        exclude_if=lambda kinds: not kinds,
        description="personal data that is replaced by [EMAIL] and the like before a text is read, as in the training;"
        " absent: none",
    )
    redaction: int | None = Field(
        default=None,
        exclude_if=lambda version: version is None,
        description="version of what finds personal data; present with redact",
    )

    @model_validator(mode="after")
    def _check_redaction(self) -> Self:
        if self.redact and self.redaction != VERSION:
            raise ValueError(
                f"redaction: personal data was replaced by version {self.redaction} in the training, and this program"
                f" has version {VERSION}; serve it by the program that exported it, or train again"
            )
        return self

    def redacted(self, text: str) -> str:
        if not self.redact:
            return text
        from serving.tasks.redaction import redact  # its patterns take a while, and few models need them

        return redact(text, self.redact)


class PairSettings(ChangedTextSettings, PostprocessedSettings):
    pair: bool = Field(default=False, description="whether an input is two texts")
    windows: Windows | None = Field(
        default=None,
        exclude_if=lambda windows: windows is None,
        description="how a long text is read in windows; absent: it is truncated to one",
    )

    @model_validator(mode="after")
    def _check_windows(self) -> Self:
        if self.pair and self.windows:
            raise ValueError("windows: are read of a single text, and pair says that an input is two")
        return self


class ChangedTextTask(Task):
    """Of a text, personal data and what the preprocessing changes never reach the model."""

    settings: ChangedTextSettings

    @cached_property
    def preprocess(self) -> Preprocessing:
        """Raises BundleError where what is installed is not what was proven."""
        return Preprocessing(self.settings.preprocess)

    def load_extensions(self) -> None:
        super().load_extensions()
        _ = self.preprocess

    def change_text(self, text: str, field: str) -> str:
        """As the training has read it; raises InputError where nothing is left."""
        return self.preprocess(self.settings.redacted(text), field)


class PairTask(ChangedTextTask):
    """Takes a text, or ``{"text", "text_pair"}`` if the settings say ``pair``; answers labels with scores."""

    output_tensors = SCORE_TENSORS
    settings: PairSettings

    @property
    def is_pair(self) -> bool:
        return self.settings.pair

    @property
    def max_windows(self) -> int:
        return self.settings.windows.max_windows if self.settings.windows else 1

    @property
    def stride(self) -> int:
        return self.settings.windows.stride if self.settings.windows else 0

    def most_tokens(self, window: int, special: int) -> int:
        return special + self.settings.windows.most_tokens(window - special) if self.settings.windows else window

    def merge(self, logits: Sequence[Logits]) -> Logits:
        windows = self.settings.windows
        return aggregate(logits, windows.aggregation) if windows else logits[0]

    def check(self, inputs: Any, field: str = "inputs") -> Segments:
        segments = check_segments(inputs, field, self.limits, pair=self.settings.pair)
        if isinstance(segments, str):
            return self.change_text(segments, field)
        first, second = segments
        return self.change_text(first, f"{field}.{PAIR[0]}"), self.change_text(second, f"{field}.{PAIR[1]}")

    def segments(self, item: Segments) -> Segments:
        return item

    def input_schema(self) -> dict[str, Any]:
        text = text_schema(self.limits)
        return object_schema(dict.fromkeys(PAIR, text)) if self.settings.pair else text

    def answer_schema(self) -> dict[str, Any]:
        return scores_schema(self.labels)


def check_text(value: Any, field: str, limits: Limits) -> str:
    """Raises InputError naming ``field``, or InputTooLarge."""
    if not isinstance(value, str):
        raise InputError(f"{field} must be a text, found {json_type(value)}", field=field)
    if not value.strip():
        raise InputError(f"{field} is empty; a text needs at least one visible character", field=field)
    limit = limits.max_characters
    if len(value) > limit:
        raise InputTooLarge(f"{field} has {len(value):,} characters; at most {limit:,} are accepted", field=field)
    if not encodable(value):
        raise InputError(f"{field} holds a lone surrogate and cannot be written as UTF-8", field=field)
    if not value.isascii() and (letters := _count_letters(value)) > 2 * limit:
        message = f"{field} has {letters:,} characters once its ligatures are spelled out; at most {2 * limit:,}"
        raise InputTooLarge(f"{message} are accepted", field=field)
    return value


def _count_letters(text: str) -> int:
    return len(text) + sum(text.count(ligature) * (letters - 1) for ligature, letters in SPELLED_OUT.items())


def check_object(value: Any, field: str, keys: tuple[str, ...], limits: Limits) -> tuple[str, ...]:
    """The texts of an object with exactly these keys; raises InputError."""
    example = ", ".join(f'"{key}": "…"' for key in keys)
    if not isinstance(value, dict):
        raise InputError(f"{field} must be an object {{{example}}}, found {json_type(value)}", field=field)
    if unknown := sorted(value.keys() - set(keys)):
        raise InputError(f"{field}: unknown key {unknown[0]!r}; give {{{example}}}", field=field)
    for key in keys:
        if key not in value:
            raise InputError(f"{field}.{key} is missing; give {{{example}}}", field=f"{field}.{key}")
    return tuple(check_text(value[key], f"{field}.{key}", limits) for key in keys)


def check_segments(value: Any, field: str, limits: Limits, *, pair: bool) -> Segments:
    """A text (also as ``{"text": …}``), or with ``pair`` an object's two; raises InputError."""
    if pair:
        text, text_pair = check_object(value, field, PAIR, limits)
        return text, text_pair
    if isinstance(value, dict) and value.keys() == set(PAIR):
        raise InputError(f"{field} is a pair, and this model reads single texts; send the text alone", field=field)
    if isinstance(value, dict) and value.keys() == {"text"}:
        return check_text(value["text"], f"{field}.text", limits)
    return check_text(value, field, limits)


def text_schema(limits: Limits) -> dict[str, Any]:
    return {"type": "string", "minLength": 1, "maxLength": limits.max_characters, "pattern": r"\S"}


def json_type(value: Any) -> str:
    names = {bool: "a boolean", int: "a number", float: "a number", list: "a list", dict: "an object", str: "a text"}
    return "null" if value is None else names.get(type(value), type(value).__name__)


def encodable(text: str) -> bool:
    """False for lone surrogates, which JSON can write and UTF-8 cannot."""
    if text.isascii():
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
