"""The section that trains a student of finished runs."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from trainer.recipe.section import Name, Section

LayerNumber = Annotated[int, Field(ge=0)]


class Distil(Section):
    """A smaller model, the student, learns the answers of finished runs, its teachers (Hinton et al. 2015)."""

    teacher: Name | tuple[Name, ...] = Field(
        description="a run's folder, or a list of them, whose mean answer is learned; the first one's checkpoint is the"
        " student's base model unless `model` names another"
    )
    student: Literal["transformer", "static"] = Field(
        default="transformer",
        description="transformer: the base model with some of its layers; static: a vector for each token of the"
        " vocabulary, the teacher's own, and a fresh head; for tasks with one answer per text",
    )
    layers: Annotated[int, Field(ge=1)] | tuple[LayerNumber, ...] | None = Field(
        default=None,
        description="how many of the base model's layers the student keeps, evenly spaced from the first to the last,"
        " or the list of their numbers from 0; null: all of them",
    )
    temperature: float = Field(
        default=2.0, gt=0, le=100, description="both sides' logits are divided by it before they are compared"
    )
    label_weight: float = Field(
        default=0.5, ge=0, le=1, description="the labels' share of the loss; the rest is the teachers'"
    )
    vector_weight: float = Field(
        default=0.0,
        ge=0,
        le=100,
        description="weight of a further loss: how far the student's vector of a text, which its classifier reads, is"
        " from the first teacher's; needs heads of this project of equal width",
    )
    rows: Name | None = Field(
        default=None,
        description="file of further rows without labels, with the columns of data: the student learns the teachers'"
        " answers to them",
    )

    @model_validator(mode="after")
    def _check_layers(self) -> Distil:
        if not self.teacher:
            raise ValueError("distil.teacher: names no run; give the --output folder of tuneship train")
        if self.layers is not None and self.student == "static":
            raise ValueError("distil.layers: a static student has no layers; leave it out")
        if isinstance(self.layers, tuple) and (not self.layers or list(self.layers) != sorted(set(self.layers))):
            raise ValueError("distil.layers: give a number, or layer numbers in ascending order, each once")
        return self

    @property
    def teachers(self) -> tuple[str, ...]:
        return (self.teacher,) if isinstance(self.teacher, str) else self.teacher
