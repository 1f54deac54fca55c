"""Text classification: one text in, the labels and their probabilities out, in the Hugging Face inference shape."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal, TypedDict

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field
from tokenizers import Encoding, Tokenizer

from serving.bundle import Manifest
from serving.errors import InputError, InputTooLarge

Logits = npt.NDArray[np.float32]


class LabelScore(TypedDict):
    """One label of an answer and its probability."""

    label: str
    score: float


class Parameters(BaseModel):
    """What a caller may ask for, as Hugging Face's text-classification task names it."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    top_k: Annotated[int, Field(ge=1, description="how many labels, best first; all of them if absent")] | None = None
    function_to_apply: Literal["softmax", "sigmoid", "none"] = Field(
        default="softmax", description="what turns logits into scores"
    )


DEFAULT_PARAMETERS = Parameters()


@dataclass(frozen=True)
class TextClassification:
    """Check, encode and decode for a bundle whose graph gives one logit a label."""

    manifest: Manifest
    name = "text-classification"
    parameters = Parameters

    def check(self, inputs: Any, field: str = "inputs") -> str:
        """The input as text that can be tokenised; raises InputError naming ``field``, InputTooLarge past a limit."""
        if not isinstance(inputs, str):
            raise InputError(f"{field} must be a text, found {_json_type(inputs)}", field=field)
        if not inputs.strip():
            raise InputError(f"{field} is empty; a text needs at least one visible character", field=field)
        limit = self.manifest.limits.max_characters
        if len(inputs) > limit:
            raise InputTooLarge(f"{field} has {len(inputs):,} characters; at most {limit:,} are accepted", field=field)
        if not _encodable(inputs):
            raise InputError(f"{field} holds a lone surrogate and cannot be written as UTF-8", field=field)
        return inputs

    def encode(self, tokenizer: Tokenizer, texts: Sequence[str]) -> list[Encoding]:
        """One encoding a text, special tokens included, truncated, not padded."""
        return tokenizer.encode_batch_fast(texts)

    def decode(self, logits: Logits, parameters: Parameters = DEFAULT_PARAMETERS) -> list[LabelScore]:
        """The labels of one row, best first.

        Args:
            logits: shape [labels].
            parameters: the caller's wishes.
        """
        scores = apply_function(logits, parameters.function_to_apply)
        order = np.argsort(-scores, kind="stable")[: parameters.top_k]
        labels = self.manifest.labels
        return [{"label": labels[index], "score": float(scores[index])} for index in order]


def apply_function(logits: Logits, name: str) -> npt.NDArray[np.float64]:
    """Scores from logits [labels]: ``softmax`` sums to one, ``sigmoid`` takes each by itself, ``none`` nothing."""
    values = logits.astype(np.float64)
    if name == "softmax":
        exponentials: npt.NDArray[np.float64] = np.exp(values - values.max())
        softmax: npt.NDArray[np.float64] = exponentials / exponentials.sum()
        return softmax
    if name == "sigmoid":
        # The two-sided form: exp never sees a large positive number, so it cannot overflow.
        decay = np.exp(-np.abs(values))
        return np.where(values >= 0, 1 / (1 + decay), decay / (1 + decay))
    return values


def _encodable(text: str) -> bool:
    if text.isascii():
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _json_type(value: Any) -> str:
    names = {bool: "a boolean", int: "a number", float: "a number", list: "a list", dict: "an object"}
    return "null" if value is None else names.get(type(value), type(value).__name__)
