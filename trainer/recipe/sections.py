"""The sections of a recipe, but for the training's."""

from __future__ import annotations

from pathlib import PurePath
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from serving.tasks.personal_data import PersonalData
from serving.tasks.windows import Aggregation
from trainer.recipe.own_names import OwnName
from trainer.recipe.section import Fraction, Name, Section

Loss = Literal[
    "cross-entropy", "focal", "binary-cross-entropy", "mse", "huber", "cosent", "cosine", "multiple-negatives-ranking"
]
Dimensions = Annotated[int, Field(ge=1, le=2**17)]
Pooling = Literal["mean", "cls", "last", "max", "mean_sqrt_len_tokens", "weightedmean"]
"""A text's vector, as sentence-transformers has it (its ``lasttoken`` is ``last``)."""


def _is_encoding(name: str) -> bool:
    try:
        "".encode(name)
    except LookupError:
        return False
    return True


class ModelHead(Section):
    """The layer between the backbone's token vectors and the answer, and what it is trained for."""

    pooling: Pooling | tuple[Pooling, ...] | None = Field(
        default=None,
        description="mean of the token vectors, transformers' own head on the first, or the last token's vector …, or a"
        " list, whose vectors stand one after the other; null: what suits the backbone, for causal ones last",
    )
    layers: int = Field(default=1, ge=1, le=48, description="how many of the last layers the classifier reads")
    loss: Loss | OwnName | None = Field(
        default=None,
        description="what training minimises; null: the task's first in the table of tasks;"
        " binary-cross-entropy gives two labels a single logit, and under regression learns pairs without scores",
    )
    head: OwnName | None = Field(
        default=None,
        description="what turns each vector into logits; null: a linear layer. Of classification, regression and tags",
    )
    scale: float = Field(
        default=20.0, gt=0, le=1000, description="times the cosines, under cosent and multiple-negatives-ranking"
    )
    symmetric: bool = Field(
        default=False, description="multiple-negatives-ranking: rank the first texts beside each second one too"
    )
    matryoshka_dims: tuple[Dimensions, ...] | None = Field(
        default=None,
        description="of vectors: sizes below the whole to which callers may cut them; each is trained and proven",
    )
    focal_gamma: float = Field(default=2.0, gt=0, le=10, description="of the focal loss: how little easy rows count")
    class_weights: Literal["balanced"] | dict[str, float] | None = Field(
        default=None, description="balanced: each label counts the same, however rare; or a weight per label"
    )
    interval_coverage: Fraction | None = Field(
        default=None,
        description="of a regression: the share of right numbers that lie in their answers' intervals; null: 0.9",
    )


class Data(Section):
    """The rows: where they lie, which columns matter, how they are split."""

    train: Name | tuple[Name, ...] | None = Field(
        default=None, description="file of training rows, or a list of files; with `dataset`, a split's name"
    )
    test: Fraction | Name | tuple[Name, ...] | dict[Name, Fraction | Name] = Field(
        description="file (or split) that is evaluated once, or a fraction of train; or several, with metrics of their"
        " own: a list of files, or a mapping from a set's name to its file or fraction"
    )
    validation: Fraction | Name = Field(
        default=0.1, description="file (or split) that alone chooses the checkpoint, or a fraction of the training rows"
    )
    text: Name | None = Field(
        default=None, description="column of the text; null: text, or tokens where tokens have tags"
    )
    text_pair: Name | None = Field(default=None, description="column of the second text of a pair")
    negative: Name | tuple[Name, ...] | None = Field(
        default=None,
        description="of pairs without scores: column, or list of columns, of texts that do not answer the first one"
        " (hard negatives): a text, a list of texts, or nothing",
    )
    sampled_negatives: int = Field(
        default=9, ge=1, le=100, description="of a cross-encoder: other rows' second texts beside each row's own"
    )
    label: Name | tuple[Name, ...] | None = Field(
        default=None,
        description="column of the expected answer: a label, a number, tags or a text; null: label, or tags; for"
        " several labels also a list of columns, one for each label, with 0 or 1",
    )
    label_separator: Name | None = Field(default=None, description="between several labels in one column")
    label_names: tuple[Name, ...] | Name | None = Field(
        default=None, description="names of labels written as numbers from 0: a list, or a file with one a line"
    )
    case_markers: bool = Field(default=False, description="mark capitalised words for an uncased base model")
    word_separator: str = Field(default=" ", description="between the tokens of a tagged text; empty for Chinese")
    column_names: tuple[Name, ...] | None = Field(default=None, description="columns of CSV or TSV without a header")
    encoding: Name | None = Field(
        default=None, description="of text files, such as cp1252; null: UTF-8, or what a byte order mark says"
    )
    delimiter: Name | None = Field(
        default=None, description='between the columns of CSV or TSV, such as ";" or "\\t"; null: what the header shows'
    )
    field: Name | None = Field(
        default=None, description="where a JSON file has its array of rows, such as data or result.rows"
    )
    dataset: Name | None = Field(default=None, description="a hub data set, owner/name, or a folder, in place of files")
    config_name: Name | None = Field(default=None, description="the hub data set's configuration")
    revision: Name | None = Field(default=None, description="the hub data set's commit, branch or tag")
    unusable_rows: Literal["refuse", "skip"] = Field(
        default="refuse",
        description="rows without a text, without a label and the like: refuse the file, with all of them named, or"
        " leave them out, counted and listed in the report",
    )
    streaming: bool = Field(
        default=False,
        description="read the rows from disk as they are needed, where the files are larger than the memory; the run is"
        " the same",
    )
    redact: tuple[PersonalData, ...] = Field(
        default=(),
        exclude_if=lambda kinds: not kinds,
        description="personal data that is replaced by [EMAIL] and the like, in the rows and in what the server is"
        " sent: of classification, regression and vectors of texts",
    )
    preprocess: tuple[OwnName, ...] = Field(
        default=(),
        exclude_if=lambda names: not names,
        description="extensions that change each text before it is read, in the training and in the server: of"
        " classification, regression and vectors of texts",
    )
    postprocess: tuple[OwnName, ...] = Field(
        default=(),
        exclude_if=lambda names: not names,
        description="extensions that change each answer, in figures, proof and server: of classification, regression,"
        " tags and answers to questions",
    )
    folds: int | None = Field(
        default=None,
        ge=2,
        le=100,
        description="cross-validate first: train so many times more, each without a part of the training and validation"
        " rows; the scores stand in the report",
    )
    group: Name | None = Field(
        default=None,
        description="column of what belongs together, such as a customer or a document: no split and no fold divides"
        " its rows; a row without a value stands alone",
    )
    time: Name | None = Field(
        default=None,
        description="column of dates or numbers: a fraction takes the latest rows, for test and then for validation;"
        " without those whose text is among the earlier rows",
    )
    split: Name | None = Field(
        default=None,
        description="column that names each row's set: test and validation are then its values, or fractions of the"
        " other rows, which are trained on",
    )
    split_seed: int = Field(default=0, ge=0, lt=2**32, description="decides which rows a fraction or a fold takes")
    prefix: str = Field(default="", description="put before every input of a generating model, such as T5's summarize:")
    max_new_tokens: int = Field(
        default=64, ge=1, le=4096, description="the most tokens of a generated answer, by default"
    )
    max_length: int | None = Field(
        default=None, ge=4, le=8192, description="tokens per window; null: the backbone's, at most 256, 384 for answers"
    )
    stride: int | None = Field(
        default=None,
        ge=0,
        le=4096,
        description="tokens that neighbouring windows share; null: a quarter of one, a third for answers",
    )
    long_text: Literal["truncate", "windows"] = Field(
        default="truncate",
        description="truncate a text that is longer than data.max_length, or classify it over overlapping windows: of"
        " classification and regression of single texts",
    )
    max_windows: int = Field(
        default=32, ge=2, le=1024, description="windows of a text that are read; what is behind them is cut off"
    )
    window_aggregation: Aggregation = Field(
        default="mean", description="what each of a text's logits is of its windows' logits, in training and serving"
    )

    @field_validator("delimiter")
    @classmethod
    def _read_tab(cls, value: str | None) -> str | None:
        """As a shell writes it."""
        return "\t" if value in ("\\t", "tab") else value

    @model_validator(mode="after")
    def _check_source(self) -> Data:
        if self.dataset is None and self.train is None:
            raise ValueError("data.train: missing; name a file of training rows, or a data set by data.dataset")
        if self.delimiter is not None and (len(self.delimiter) != 1 or self.delimiter in '"\r\n'):
            raise ValueError(f"data.delimiter: {self.delimiter!r} is no single character; give one, such as ';' or tab")
        if self.encoding is not None and not _is_encoding(self.encoding):
            raise ValueError(f"data.encoding: {self.encoding!r} is unknown; give one such as utf-8, cp1252 or utf-16")
        if self.dataset is None and (self.config_name or self.revision):
            raise ValueError("data.config_name and data.revision belong to data.dataset, which is not given")
        if self.dataset is not None and isinstance(self.train, tuple):
            raise ValueError("data.train: a list names files; of data.dataset give one split's name")
        if isinstance(self.test, (tuple, dict)) and not self.test:
            raise ValueError("data.test: names no set; give a file, a fraction, or a mapping from names to them")
        if len({name for name, _ in self.test_sets()}) < (len(self.test) if isinstance(self.test, tuple) else 1):
            raise ValueError("data.test: two files of one name; give a mapping from names of your own to files")
        if self.text is not None and self.text == self.label:
            raise ValueError(f"data.text and data.label: both name the column {self.text!r}; an answer needs its own")
        if isinstance(self.label, tuple) and len(self.label) != len(set(self.label)):
            raise ValueError("data.label: a column is named twice; name each label's column once")
        if self.text_pair is not None and self.text_pair in (self.text, self.label):
            raise ValueError(f"data.text_pair: {self.text_pair!r} is named twice; the second text needs its own column")
        if isinstance(self.label, tuple) and (self.label_names or self.label_separator):
            raise ValueError("data.label: a list of columns names the labels; leave data.label_names out")
        if self.dataset is not None and self.column_names:
            raise ValueError("data.column_names: names the columns of files; data.dataset has its own")
        return self

    @model_validator(mode="after")
    def _check_split_columns(self) -> Data:
        labels = self.label if isinstance(self.label, tuple) else (self.label,)
        used = dict.fromkeys((self.text, self.text_pair), "the text") | dict.fromkeys(labels, "the answer")
        for key in ("group", "time", "split"):
            if (name := getattr(self, key)) is not None and name in used:
                raise ValueError(f"data.{key}: {name!r} is the column of {used[name]}; it needs its own")
        if self.time is not None and self.group is not None:
            raise ValueError("data.time: the latest rows are of groups that earlier ones have; leave data.group out")
        if self.time is not None and self.folds is not None:
            raise ValueError("data.folds: a fold has rows of every time; leave it out beside data.time")
        if self.split is not None and self.dataset is not None:
            raise ValueError("data.split: is for files; data.test and data.validation name a data set's splits")
        return self

    def negatives(self) -> tuple[str, ...]:
        """The columns of hard negatives."""
        return (self.negative,) if isinstance(self.negative, str) else self.negative or ()

    def test_sets(self) -> list[tuple[str, float | str]]:
        """Each set's name and its file, split or fraction."""
        if isinstance(self.test, dict):
            return list(self.test.items())
        if isinstance(self.test, tuple):
            return [(PurePath(path).stem, path) for path in self.test]
        return [("test", self.test)]


class FewShot(Section):
    """Classify by the backbone's sentence vectors, without training it: label descriptions, a handful of examples."""

    examples_per_label: int = Field(ge=0, le=1000, description="training rows a label; 0: descriptions only")
    label_descriptions: dict[str, str] | None = Field(
        default=None, description="a sentence a label; null: the label's own name, underscores as spaces"
    )
    rows: Name | None = Field(
        default=None,
        description="file of further rows without labels, with the columns of data: labels spread from the examples to"
        " the texts nearest to them",
    )


class Imported(Section):
    """Written by tuneship import, in place of a training."""

    labels: tuple[str, ...] = Field(default=(), description="names of the model's logits, in their order")


class Card(Section):
    """What the bundle's model card says that no figure tells."""

    license: Name | None = Field(default=None, description="of the fine-tuned model, as Hugging Face abbreviates it")
    language: tuple[Name, ...] | None = Field(default=None, description="ISO 639 codes of the texts' languages")
    dataset: Name | None = Field(default=None, description="the data set's name; owner/name where the hub has it")
    intended_use: Name | None = Field(default=None, description="what the model is for, in a sentence or two")
    limitations: Name | None = Field(default=None, description="what it is not for")


class Export(Section):
    """What a converted model may lose."""

    max_metric_drop: float = Field(
        default=0.005,
        ge=0,
        lt=1,
        description="of the task's main metric, in its unit: the lower end of an approximate variant's change, by a"
        " one-sided test at 2.5 %, must stay above minus this",
    )
    max_teacher_drop: float = Field(
        default=0.02,
        ge=0,
        le=2,
        description="of a student's main metric from its teacher's on the same rows, by the same test, of every"
        " variant; 2 accepts any",
    )
    rows: Name | None = Field(
        default=None,
        description="file of rows without labels, with the columns of data: the share of answers that change on them"
        " bounds the drop of accuracy, exact match and F1 of words",
    )
    min_agreement: float = Field(
        default=0.99,
        ge=0,
        le=1,
        description="of an approximate variant: share of inputs with the checkpoint's answer; one may always differ",
    )
    max_probability_change: float = Field(
        default=0.5, ge=0, le=1, description="of a label, entity, answer or next token, on any input"
    )
    max_mean_probability_change: float = Field(default=0.02, ge=0, le=1, description="of all of them on average")
    max_ece_change: float = Field(default=0.02, ge=0, le=1, description="of the expected calibration error, up or down")
    max_value_change: float = Field(
        default=0.5, ge=0, description="of any number, in standard deviations of the training rows'"
    )
    max_mean_value_change: float = Field(default=0.05, ge=0, description="of all of them on average")
    min_cosine: float = Field(
        default=0.8, ge=-1, le=1, description="of any vector with the checkpoint's of the same text"
    )
    min_mean_cosine: float = Field(default=0.98, ge=-1, le=1, description="of all of them on average")
    max_length_change: float = Field(
        default=0.5, ge=0, description="of any vector's length before normalisation, as a share of it"
    )
    max_mean_length_change: float = Field(default=0.05, ge=0, description="of all of them on average")
    min_mean_text_f1: float = Field(
        default=0.95, ge=0, le=1, description="of the words of generated texts with those of the checkpoint's"
    )

    @model_validator(mode="before")
    @classmethod
    def _refuse_old_names(cls, values: Any) -> Any:
        if isinstance(values, dict) and "max_accuracy_drop" in values:
            raise ValueError(
                "export.max_accuracy_drop: is called export.max_metric_drop now, and bounds the lower end of the"
                " change's 95 % interval, no longer the change itself; rename it"
            )
        return values
