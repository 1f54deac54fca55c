"""The interface of a task. Trainer, proof and server use the same objects."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, Literal, Protocol

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field
from tokenizers import Encoding, Tokenizer

from serving.bundle.manifest import Limits
from serving.errors import InputError
from serving.tasks.processing import Postprocessing, Step
from serving.tasks.strict_model import StrictModel

Logits = npt.NDArray[np.float32]
"""Of one window: [labels], [tokens, labels], [tokens, 2] or [dimensions], by task."""

Segments = str | tuple[str, str]
"""The text, or pair of texts, that is tokenised."""

Truncation = Literal["longest_first", "only_second"]
"""Which text of a pair is cut first, in the tokenizers library's terms."""

Side = Literal["right", "left"]
"""Which end of a text that is too long is cut off."""

Datatype = Literal["BYTES", "FP32", "INT64"]
"""A tensor's, in the Open Inference Protocol's terms."""


class TaskSettings(BaseModel):
    """What answers depend on besides weights; in the manifest."""

    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)

    vocabulary: int | None = Field(
        default=None,
        ge=1,
        description="token ids from this one on have no embedding: a text with such a token is refused; null: all have",
    )


class PostprocessedSettings(TaskSettings):
    """Of the tasks whose answers may be changed by code of the user's own."""

    postprocess: tuple[Step, ...] = Field(
        default=(),
        exclude_if=lambda steps: not steps,
        description="extensions that change an answer, in this order; what is installed must be what was proven",
    )


class TaskParameters(StrictModel):
    """What a request may set, under Hugging Face's names."""

    places: ClassVar[bool] = False
    """Whether these parameters need token offsets."""

    truncate: bool = Field(default=True, description="false: refuse an input that would be truncated")
    truncation_direction: Side | None = Field(
        default=None, description="which end of a text that is too long is cut off; absent: the task's own"
    )


class CutParameters(TaskParameters):
    """Of the tasks whose text is cut."""

    max_length: int | None = Field(default=None, ge=1, description="at most so many tokens are read")


class Window(Protocol):
    """What an engine runs: an encoding, or a prompt."""

    @property
    def ids(self) -> list[int]:
        """Token ids."""


@dataclass(frozen=True)
class Encoded:
    """A checked input and its windows: one, unless the task uses several. ``truncated``: they lack a part."""

    item: Any
    windows: list[Any]
    truncated: bool = False

    @property
    def tokens(self) -> int:
        return sum(len(window.ids) for window in self.windows)


class Task(ABC):
    """Its only state is labels, settings and limits."""

    name: ClassVar[str]
    settings_type: ClassVar[type[TaskSettings]] = TaskSettings
    parameters_type: ClassVar[type[TaskParameters]] = TaskParameters
    truncation: ClassVar[Truncation] = "longest_first"
    truncation_side: ClassVar[Side] = "right"
    needs_offsets: ClassVar[bool] = False
    decides: ClassVar[bool] = True
    """Whether `decision` tells answers apart: it does not for numbers and vectors."""
    lone_answer_in_list: ClassVar[bool] = True
    """Whether Hugging Face clients expect the answer to a single input inside a list."""
    output_tensors: ClassVar[Mapping[str, Datatype]] = {}
    """An answer's keys as tensors of the Open Inference Protocol."""
    score_parameters: ClassVar[frozenset[str]] = frozenset()
    """Parameters that change predicted labels or confidence, so that such answers are no measure of drift."""

    def __init__(self, labels: Sequence[str], settings: TaskSettings, limits: Limits) -> None:
        self.labels = list(labels)
        self.settings = settings
        self.limits = limits

    @property
    def is_pair(self) -> bool:
        """Whether an item is two texts, either of which may be truncated."""
        return False

    @property
    def input_keys(self) -> list[str]:
        """Of an input that is an object; empty if it is a text."""
        return list(self.input_schema().get("properties", ()))

    @property
    def max_windows(self) -> int | None:
        """Windows in which an item is read at most; None: as many as it takes."""
        return 1

    def most_tokens(self, window: int, special: int) -> int:
        """Of an item, that are read together; ``window``: of one window, with its ``special`` tokens."""
        return window

    @property
    def uses_windows(self) -> bool:
        """Whether long text is read in overlapping windows."""
        return self.max_windows != 1

    @property
    def stride(self) -> int:
        return 0

    @property
    def logits_per_window(self) -> int:
        """The size of the graph's last output dimension."""
        return len(self.labels)

    @property
    def problem_type(self) -> str | None:
        """How transformers reads the logits of a text."""
        return None

    @property
    def unit(self) -> tuple[float, float]:
        """What a logit of 0 stands for, and a step of 1."""
        return 0.0, 1.0

    @abstractmethod
    def check(self, inputs: Any, field: str = "inputs") -> Any:
        """A checked item; raises InputError naming ``field``."""

    @abstractmethod
    def segments(self, item: Any) -> Segments:
        """What of a checked item is tokenised."""

    @cached_property
    def postprocess(self) -> Postprocessing:
        """Raises BundleError where what is installed is not what was proven."""
        steps = self.settings.postprocess if isinstance(self.settings, PostprocessedSettings) else ()
        return Postprocessing(steps, self.answer_schema() if steps else {})

    def answer(self, encoded: Encoded, logits: Sequence[Any], parameters: Any = None) -> Any:
        """What callers get: `decode`, and what the settings' post-processing makes of it; raises AnswerRefused."""
        if not self.postprocess:
            return self.decode(encoded, logits, parameters)
        return self.decode_and_change(encoded, logits, parameters)

    def decode_and_change(self, encoded: Encoded, logits: Sequence[Any], parameters: Any) -> Any:
        """By the post-processing."""
        return self.postprocess(self.decode(encoded, logits, parameters), encoded.item)

    def load_extensions(self) -> None:
        """Raise BundleError where what is installed is not what was proven."""
        _ = self.postprocess

    @abstractmethod
    def decode(self, encoded: Encoded, logits: Sequence[Any], parameters: Any = None) -> Any:
        """JSON values, from each window's logits or generated texts."""

    @abstractmethod
    def decision(self, answer: Any) -> Hashable:
        """What callers act on. Answers agree if their decisions are equal."""

    @abstractmethod
    def input_schema(self) -> dict[str, Any]:
        """JSON schema of one input."""

    @abstractmethod
    def answer_schema(self) -> dict[str, Any]:
        """JSON schema of one answer."""

    def check_tokens(self, tokenizer: Tokenizer, item: Any, field: str = "inputs") -> None:
        """As `check_room` and `check_encoding`; tokenises only where a tokenizer or model may refuse a text."""
        self.check_room(tokenizer, item, field)
        segments = self.segments(item)
        texts = (segments,) if isinstance(segments, str) else segments
        if self.settings.vocabulary is not None or not tokenizer.num_special_tokens_to_add(is_pair=len(texts) == 2):
            self.check_encoding(tokenizer, tokenizer.encode(*texts), field)

    def check_room(self, tokenizer: Tokenizer, item: Any, field: str = "inputs") -> None:
        """Raise InputTooLarge for an item that cannot be split into windows."""
        return  # any can, of most tasks

    def check_encoding(self, tokenizer: Tokenizer, encoding: Encoding, field: str = "inputs") -> None:
        """Raise InputError for an item without tokens, or with one that has no embedding.

        A tokenizer that adds no special tokens may have none for a text, say of control characters.
        """
        if not len(encoding):
            raise InputError(f"{field} has no tokens; a text needs one at least", field=field)
        if self.settings.vocabulary is not None:
            for window in (encoding, *encoding.overflowing):
                _check_vocabulary(tokenizer, window.ids, self.settings.vocabulary, field)

    def validate_settings(self) -> str:
        """Why labels and settings do not fit; empty if they do."""
        return ""

    def predicted_labels(self, answer: Any) -> Sequence[str]:
        """To count: a bounded set."""
        return ()

    def confidence(self, answer: Any) -> float | None:
        """A probability, if there is one."""
        return None

    def row(self, answer: Any) -> dict[str, list[Any]]:
        """Values for each of `output_tensors`."""
        parts = answer if isinstance(answer, list) else [answer]
        return {name: [part[name] for part in parts] for name in self.output_tensors}

    def merge(self, logits: Sequence[Logits]) -> Logits:
        """The logits of an item that is answered as a whole, from those of its windows."""
        return logits[0]

    def golden_logits(self, logits: Logits) -> Logits:
        """What a golden row records."""
        return logits

    def truncates(self, encoding: Encoding) -> bool:
        """Whether no window has some part of the item."""
        return self.max_windows is not None and len(encoding.overflowing) >= self.max_windows

    def windows(self, encoding: Encoding) -> list[Encoding]:
        return [encoding] if self.max_windows == 1 else [encoding, *encoding.overflowing][: self.max_windows]


def object_schema(properties: dict[str, Any], required: Sequence[str] | None = None) -> dict[str, Any]:
    """An object with these keys only, by default all required."""
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties if required is None else required),
        "additionalProperties": False,
    }


def content_slice(length: int, padded: int, padding_side: str) -> slice:
    """Where a window's ``length`` rows are among ``padded`` ones."""
    return slice(length) if padding_side == "right" else slice(padded - length, None)


def _check_vocabulary(tokenizer: Tokenizer, ids: Sequence[int], most: int, field: str) -> None:
    """Fast encodings do not say what their tokens are."""
    if max(ids, default=0) >= most:
        token = tokenizer.id_to_token(next(number for number in ids if number >= most))
        raise InputError(f"{field} has the token {token!r}, for which the model has no embedding", field=field)
