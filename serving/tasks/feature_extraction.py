"""Feature extraction: a text's vector. Similar texts have a high cosine."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Annotated, Any, ClassVar

import numpy as np
from pydantic import Field

from serving.errors import InputError
from serving.tasks.base import CutParameters, Datatype, Encoded, Logits
from serving.tasks.inputs import ChangedTextSettings, ChangedTextTask, TextTask


class FeatureExtractionSettings(ChangedTextSettings):
    dimensions: int = Field(ge=1, description="numbers a vector")
    matryoshka_dims: tuple[int, ...] = Field(
        default=(),
        exclude_if=lambda dims: not dims,
        description="to which sizes vectors may be cut, besides the whole, for which they were trained and proven;"
        " absent: to any",
    )


class FeatureExtractionParameters(CutParameters):
    """As in text-embeddings-inference."""

    normalize: bool = Field(default=True, description="whether vectors have length 1")
    dimensions: Annotated[int, Field(ge=1, description="only the first so many numbers")] | None = None


DEFAULT = FeatureExtractionParameters()


class FeatureExtraction(TextTask, ChangedTextTask):
    name = "feature-extraction"
    decides = False
    output_tensors: ClassVar[Mapping[str, Datatype]] = {"embedding": "FP32"}
    settings_type = FeatureExtractionSettings
    parameters_type = FeatureExtractionParameters
    settings: FeatureExtractionSettings

    def check(self, inputs: Any, field: str = "inputs") -> str:
        return self.change_text(super().check(inputs, field), field)

    @property
    def logits_per_window(self) -> int:
        return self.settings.dimensions

    def decode(
        self, encoded: Encoded, logits: Sequence[Logits], parameters: FeatureExtractionParameters | None = None
    ) -> list[float]:
        """The vector; ``logits``: one [dimensions]. Raises InputError for a size that it cannot have."""
        options = parameters or DEFAULT
        self._check_size(options.dimensions or self.settings.dimensions)
        vector = logits[0].astype(np.float64)[: options.dimensions]
        if options.normalize:
            vector = vector / max(float(np.linalg.norm(vector)), 1e-12)
        numbers: list[float] = vector.astype(np.float32).tolist()
        return numbers

    def _check_size(self, asked: int) -> None:
        whole, trained = self.settings.dimensions, self.settings.matryoshka_dims
        if asked > whole:
            raise InputError(f"dimensions: {asked} asked; vectors have {whole}", field="dimensions")
        if trained and asked not in (whole, *trained):
            sizes = ", ".join(map(str, sorted({whole, *trained})))
            raise InputError(f"dimensions: {asked} asked; this model was trained for {sizes}", field="dimensions")

    def validate_settings(self) -> str:
        whole, trained = self.settings.dimensions, self.settings.matryoshka_dims
        wrong = [each for each in trained if not 0 < each < whole]
        return f"matryoshka_dims: {wrong[0]} is no size below {whole} dimensions" if wrong else ""

    def row(self, answer: list[float]) -> dict[str, list[Any]]:
        return {"embedding": answer}

    def decision(self, answer: list[float]) -> Hashable:
        return None

    def answer_schema(self) -> dict[str, Any]:
        return {"type": "array", "items": {"type": "number"}, "minItems": 1, "maxItems": self.settings.dimensions}
