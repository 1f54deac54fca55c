"""Feature extraction: a text's vector. Similar texts have a high cosine."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Annotated, Any, ClassVar

import numpy as np
from pydantic import Field

from serving.errors import InputError
from serving.tasks.base import CutParameters, Datatype, Encoded, Logits
from serving.tasks.inputs import RedactedSettings, TextTask
from serving.tasks.redaction import redact


class FeatureExtractionSettings(RedactedSettings):
    dimensions: int = Field(ge=1, description="numbers a vector")


class FeatureExtractionParameters(CutParameters):
    """As in text-embeddings-inference."""

    normalize: bool = Field(default=True, description="whether vectors have length 1")
    dimensions: Annotated[int, Field(ge=1, description="only the first so many numbers")] | None = None


DEFAULT = FeatureExtractionParameters()


class FeatureExtraction(TextTask):
    name = "feature-extraction"
    decides = False
    output_tensors: ClassVar[Mapping[str, Datatype]] = {"embedding": "FP32"}
    settings_type = FeatureExtractionSettings
    parameters_type = FeatureExtractionParameters
    settings: FeatureExtractionSettings

    def check(self, inputs: Any, field: str = "inputs") -> str:
        return redact(super().check(inputs, field), self.settings.redact)

    @property
    def logits_per_window(self) -> int:
        return self.settings.dimensions

    def decode(
        self, encoded: Encoded, logits: Sequence[Logits], parameters: FeatureExtractionParameters | None = None
    ) -> list[float]:
        """The vector; ``logits``: one [dimensions]. Raises InputError for more dimensions than it has."""
        options = parameters or DEFAULT
        if options.dimensions and options.dimensions > self.settings.dimensions:
            raise InputError(f"dimensions: {options.dimensions} asked; vectors have {self.settings.dimensions}")
        vector = logits[0].astype(np.float64)[: options.dimensions]
        if options.normalize:
            vector = vector / max(float(np.linalg.norm(vector)), 1e-12)
        numbers: list[float] = vector.astype(np.float32).tolist()
        return numbers

    def row(self, answer: list[float]) -> dict[str, list[Any]]:
        return {"embedding": answer}

    def decision(self, answer: list[float]) -> Hashable:
        return None

    def answer_schema(self) -> dict[str, Any]:
        return {"type": "array", "items": {"type": "number"}, "minItems": 1, "maxItems": self.settings.dimensions}
