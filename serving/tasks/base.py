"""What every task is: how an input is checked, cut into windows that the graph takes, and decoded to an answer.

The registry in `serving.tasks` names them. The trainer measures, the proof compares and the server answers through the
same object, so that a task means one thing everywhere.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Protocol

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field
from tokenizers import Encoding, Tokenizer

from serving.bundle.manifest import Limits
from serving.tasks.strict_model import StrictModel

Logits = npt.NDArray[np.float32]
"""What the graph gives for one window: [labels], [tokens, labels], [tokens, 2] or [dimensions], as the task says."""

Segments = str | tuple[str, str]
"""The text that is tokenised, or the two texts."""

Truncation = Literal["longest_first", "only_second"]
"""Which text of a pair is cut first, as the tokenizers library names it."""


Datatype = Literal["BYTES", "FP32", "INT64"]
"""Of a tensor, as the Open Inference Protocol names it."""


class TaskSettings(BaseModel):
    """What a trained model's answers depend on besides its weights; the manifest keeps it."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class TaskParameters(StrictModel):
    """What a caller may ask for, under Hugging Face's names."""

    places: ClassVar[bool] = False
    """Whether the tokens' places in the text are needed, though the task by itself may do without."""

    truncate: bool = Field(default=True, description="false: an input of which the end would not be read is refused")
    truncation_direction: Literal["right", "left"] | None = Field(
        default=None, description="which end of a text that is too long is cut off; absent: the task's own"
    )


class Window(Protocol):
    """What an engine runs: an encoding, or a prompt."""

    @property
    def ids(self) -> list[int]:
        """Its token ids."""


@dataclass(frozen=True)
class Encoded:
    """A checked input and the windows that stand for it: one, unless the task slides over long text.

    ``truncated`` tells that they do not hold all of it.
    """

    item: Any
    windows: list[Any]
    truncated: bool = False

    @property
    def tokens(self) -> int:
        """Token ids that the engine runs for it."""
        return sum(len(window.ids) for window in self.windows)


class Task(ABC):
    """One task of one bundle. It holds no state but the labels, the settings and the limits it was made with."""

    name: ClassVar[str]
    settings_type: ClassVar[type[TaskSettings]] = TaskSettings
    parameters_type: ClassVar[type[TaskParameters]] = TaskParameters
    truncation: ClassVar[Truncation] = "longest_first"
    truncation_side: ClassVar[Literal["right", "left"]] = "right"
    uses_windows: ClassVar[bool] = False
    """Whether text past a window goes into further windows, rather than being cut off."""
    needs_offsets: ClassVar[bool] = False
    lone_answer_in_list: ClassVar[bool] = True
    """Whether the answer to a lone input comes inside a list, as Hugging Face's clients expect of this task."""

    output_tensors: ClassVar[Mapping[str, Datatype]] = {}
    """The parts of an answer that a protocol of tensors gives by themselves, each as a matrix."""

    score_parameters: ClassVar[frozenset[str]] = frozenset()
    """The parameters under which an answer may have other outcomes, or another confidence, than the model's own."""

    def __init__(self, labels: Sequence[str], settings: TaskSettings, limits: Limits) -> None:
        self.labels = list(labels)
        self.settings = settings
        self.limits = limits

    @property
    def stride(self) -> int:
        """Tokens that neighbouring windows share."""
        return 0

    @property
    def logits_per_window(self) -> int:
        """Numbers the graph gives for a text, or, where the task is about tokens, for each token."""
        return len(self.labels)

    @abstractmethod
    def check(self, inputs: Any, field: str = "inputs") -> Any:
        """The input as an item that can be tokenised; raises InputError naming ``field``."""

    @abstractmethod
    def segments(self, item: Any) -> Segments:
        """The text or the pair of texts of a checked item."""

    @abstractmethod
    def decode(self, encoded: Encoded, logits: Sequence[Any], parameters: Any = None) -> Any:
        """The answer, as plain JSON values, from the result of each window: its logits, or what was generated."""

    @abstractmethod
    def decision(self, answer: Any) -> Hashable:
        """What a caller acts on: two answers are the same where their decisions are equal, whatever their scores."""

    @abstractmethod
    def input_schema(self) -> dict[str, Any]:
        """JSON schema of one input."""

    @abstractmethod
    def answer_schema(self) -> dict[str, Any]:
        """JSON schema of one answer."""

    def check_tokens(self, tokenizer: Tokenizer, item: Any, field: str = "inputs") -> None:
        """Raise InputTooLarge where a checked item cannot be tokenised into windows; most can."""
        return

    def validate_settings(self) -> str:
        """What keeps these labels and settings from being such a task; empty where nothing does."""
        return ""

    def predicted_labels(self, answer: Any) -> Sequence[str]:
        """The labels that an answer is counted under, a bounded set."""
        return ()

    def confidence(self, answer: Any) -> float | None:
        """The probability of what an answer says; None where the task gives none, or nothing is answered."""
        return None

    def row(self, answer: Any) -> dict[str, list[Any]]:
        """The values under each of ``columns``, in the answer's order."""
        parts = answer if isinstance(answer, list) else [answer]
        return {name: [part[name] for part in parts] for name in self.output_tensors}

    def golden_logits(self, logits: Logits) -> Logits:
        """What a golden row keeps of a window's logits: all, unless the task says less."""
        return logits

    def truncates(self, encoding: Encoding) -> bool:
        """Whether a part of the tokenised item is in none of its windows."""
        return not self.uses_windows and bool(encoding.overflowing)

    def windows(self, encoding: Encoding) -> list[Encoding]:
        """The windows of one tokenised item."""
        return [encoding, *encoding.overflowing] if self.uses_windows else [encoding]


def object_schema(properties: dict[str, Any], required: Sequence[str] | None = None) -> dict[str, Any]:
    """JSON schema of an object that has these keys and no others."""
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties if required is None else required),
        "additionalProperties": False,
    }
