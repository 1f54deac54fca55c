"""Feature extraction: a text in, its vector out, such that similar texts have a high cosine."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Annotated, Any, ClassVar

import numpy as np
from pydantic import Field

from serving.errors import InputError
from serving.tasks import base
from serving.tasks.base import Datatype, Encoded, Logits, Task
from serving.tasks.inputs import check_text, text_schema


class FeatureExtractionSettings(base.TaskSettings):
    """What the vectors are."""

    dimensions: int = Field(ge=1, description="numbers a vector")


class FeatureExtractionParameters(base.TaskParameters):
    """What a caller may ask for, as text-embeddings-inference names it."""

    normalize: bool = Field(default=True, description="whether vectors have length 1")
    dimensions: Annotated[int, Field(ge=1, description="only the first so many numbers")] | None = None


DEFAULT = FeatureExtractionParameters()


class FeatureExtraction(Task):
    """One vector a text."""

    name = "feature-extraction"
    output_tensors: ClassVar[Mapping[str, Datatype]] = {"embedding": "FP32"}
    settings_type: ClassVar[type[base.TaskSettings]] = FeatureExtractionSettings
    parameters_type: ClassVar[type[base.TaskParameters]] = FeatureExtractionParameters
    settings: FeatureExtractionSettings

    @property
    def logits_per_window(self) -> int:
        """The vector's numbers."""
        return self.settings.dimensions

    def check(self, inputs: Any, field: str = "inputs") -> str:
        """A text; raises InputError."""
        return check_text(inputs, field, self.limits)

    def segments(self, item: str) -> str:
        """The text itself."""
        return item

    def decode(
        self, encoded: Encoded, logits: Sequence[Logits], parameters: FeatureExtractionParameters | None = None
    ) -> list[float]:
        """The vector; ``logits`` hold one array [dimensions]. Raises InputError for what cannot be had."""
        options = parameters or DEFAULT
        if options.dimensions and options.dimensions > self.settings.dimensions:
            raise InputError(f"dimensions: {options.dimensions} asked; vectors have {self.settings.dimensions}")
        vector = logits[0].astype(np.float64)[: options.dimensions]
        if options.normalize:
            vector = vector / max(float(np.linalg.norm(vector)), 1e-12)
        numbers: list[float] = vector.astype(np.float32).tolist()
        return numbers

    def row(self, answer: list[float]) -> dict[str, list[Any]]:
        """The vector."""
        return {"embedding": answer}

    def decision(self, answer: list[float]) -> Hashable:
        """There is nothing but the numbers, and the bound on logits is what holds them."""
        return None

    def input_schema(self) -> dict[str, Any]:
        """A text."""
        return text_schema(self.limits)

    def answer_schema(self) -> dict[str, Any]:
        """A list of numbers."""
        return {"type": "array", "items": {"type": "number"}, "minItems": 1, "maxItems": self.settings.dimensions}
