"""How a task reads rows and labels."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Any, ClassVar

from transformers import PreTrainedTokenizerFast

from serving.errors import InputError, quote
from serving.tasks.redaction import redact
from trainer.data import columns
from trainer.data.annotations import Annotation, without_argilla, without_label_studio, without_rejected
from trainer.data.problems import UNUSABLE, RowProblems
from trainer.data.rows import Rows, same_text
from trainer.data.table import Table, join_some, with_nested
from trainer.data.times import read_times
from trainer.recipe.recipe import Recipe
from trainer.recipe.sections import Data
from trainer.tasks import labels as label_rows

_SPLIT_COLUMNS = {"units": "group", "times": "time", "parts": "split"}
"""By the field of `Rows` the recipe's key of its column."""

FEWEST_GROUPS = 20
"""Of fewer groups, those of an imported model's rows are split row by row."""


class RowReader(ABC):
    """The defaults suit one text, or a pair, and one label a row."""

    recipe: Recipe
    default_text: ClassVar[str] = "text"
    default_label: ClassVar[str] = "label"
    shares_passages: ClassVar[bool] = False
    """Whether different rows may share most of their characters: then only equal ones are the same."""
    annotation: ClassVar[Annotation] = "choices"
    _tokenizer: PreTrainedTokenizerFast | None = None
    _model = ""

    @property
    def data(self) -> Data:
        return self.recipe.data

    @property
    def label_column(self) -> str:
        """The recipe's, or "label" where it names several."""
        return self.data.label if isinstance(self.data.label, str) else self.default_label

    def read_with(self, tokenizer: PreTrainedTokenizerFast, model: str) -> None:
        """Some rows are read as this tokenizer shows them to the model: conversations, words that it drops."""
        self._tokenizer, self._model = tokenizer, model

    def rows(self, table: Table, *, whole: bool = True) -> Rows:
        """Those without a problem; the table keeps the others'. Raises InputError where a column is missing.

        ``whole``: the table has all rows of its file.
        """
        source, table = table, self.arrange(table, labelled=None if self.recipe.imported else True)
        split_columns = self._read_split_columns(source, table)
        inputs = self.read_inputs(table)
        targets = self.read_targets(table) if self.has_targets(table) else [None] * len(inputs)
        usable, every = table.usable(), targets
        inputs, targets = ([values[at] for at in usable] for values in (inputs, targets))
        groups = self.groups(table.take(usable), inputs)
        if self.recipe.imported and len(set(groups)) < FEWEST_GROUPS:  # nothing is learned from one side of a split
            groups = [str(at) for at in usable]
        kept = {name: [values[at] for at in usable] for name, values in split_columns.items()}
        rows = Rows(table.name, inputs, targets, [at + 1 for at in usable], groups, **kept)
        if whole and self.data.unusable_rows == "skip" and len(usable) < len(every):
            self._note_lost_labels(table, rows, every)
        return rows

    def complete(self, rows: Rows) -> Rows:
        """One side of a split, with what its rows take from each other; what they took before is forgotten."""
        return rows

    def _read_split_columns(self, source: Table, table: Table) -> dict[str, list[Any]]:
        """Those of ``data.group``, ``data.time`` and ``data.split`` that the file has; the table gets the problems.

        A task may keep other columns of ``source`` than its own, and may make one row of several.
        """
        found: dict[str, list[Any]] = {}
        for field, key in _SPLIT_COLUMNS.items():
            if name := getattr(self.data, key):
                tables = [with_nested(each, [name]) for each in (table, source) if len(each) == len(table)]
                values = next((each.columns[name] for each in tables if name in each.columns), None)
                if values is not None:
                    read = read_times(values, name) if key == "time" else _unit_reader(name, required=key == "split")
                    found[field] = columns.map_rows(table, read, values)
        return found

    def _note_lost_labels(self, table: Table, rows: Rows, targets: list[Any]) -> None:
        """``targets`` are of all rows."""
        known = [target for target in targets if target is not UNUSABLE]
        every = Rows(table.name, known, known, [0] * len(known), [""] * len(known))
        lost = {label for _, label in self.row_labels(every)} - {label for _, label in self.row_labels(rows)}
        if lost:
            table.notes.append(f"labels whose rows are all left out: {join_some(sorted(lost))}")

    def inputs(self, table: Table) -> tuple[list[int], list[Any]]:
        """Numbers and inputs of the rows without a problem, whose answers, if any, do not count."""
        table = self.arrange(table, labelled=False)
        inputs, usable = self.read_inputs(table), table.usable()
        return [at + 1 for at in usable], [inputs[at] for at in usable]

    def arrange(self, table: Table, labelled: bool | None) -> Table:
        """As columns of inputs and answers, whatever tool wrote it; None: ``labelled`` if the table is."""
        names = [self.data.text, self.data.text_pair, *_listed(self.data.label)]
        table = with_nested(table, [name for name in names if name])
        without_rejected(table)
        text, label = self.data.text or self.default_text, self.label_column
        table = without_argilla(table, text, label, labelled)
        return without_label_studio(table, text, label, self.annotation, labelled)

    def read_inputs(self, table: Table) -> list[Any]:
        """A text, or ``{"text", "text_pair"}``, for each row; UNUSABLE for one with a problem."""
        texts = self._read_texts(table, "data.text", self.data.text or self.default_text)
        if self.data.text_pair is None:
            return texts
        seconds = self._read_texts(table, "data.text_pair", self.data.text_pair)
        return columns.map_rows(table, lambda text, second: {"text": text, "text_pair": second}, texts, seconds)

    def _read_texts(self, table: Table, key: str, name: str) -> list[Any]:
        """Without the personal data that ``data.redact`` names, as the server will read them."""
        texts = columns.texts(table, key, name)
        return columns.map_rows(table, self.redacted, texts) if self.data.redact else texts

    def redacted(self, text: str) -> str:
        return redact(text, self.data.redact)

    def has_targets(self, table: Table) -> bool:
        """Always where a model is trained; the rows of an imported one may lack the column."""
        return self.recipe.imported is None or self.data.label is not None or self.label_column in table.columns

    @abstractmethod
    def read_targets(self, table: Table) -> list[Any]:
        """The expected answer of each row; UNUSABLE for one with a problem."""

    def groups(self, table: Table, inputs: list[Any]) -> list[str]:
        """A name for each row; a split keeps rows of one name on one side."""
        return [same_text(each) for each in inputs]

    def strata(self, rows: Rows) -> Sequence[str]:
        """A name for each row; a split keeps the shares of the names."""
        return [""] * len(rows)

    def label_names(self, train: Rows, table: Table) -> list[str]:
        """In the order of the logits; raises InputError where they cannot be learned."""
        return []

    def without_rows(self, labels: Sequence[str]) -> list[str]:
        """The labels that the recipe names and no training row has."""
        named = self.data.label if isinstance(self.data.label, tuple) else label_rows.read_label_names(self.data)
        return [name for name in named or () if name not in labels]

    def known_labels(self, labels: Sequence[str]) -> list[str]:
        """Those of an imported model, as `row_labels` names them."""
        return list(labels)

    def row_labels(self, rows: Rows) -> Iterable[tuple[int, str]]:
        """Each label, with its row's number."""
        return ()

    def known_rows(self, rows: Rows, labels: Sequence[str], problems: RowProblems) -> Rows:
        """Those whose labels have training rows; ``problems`` gets the others."""
        unknown = {label for _, label in self.row_labels(rows)} - set(labels)
        if not unknown:
            return rows
        problems.hint(label_rows.describe_known(labels))
        known = []
        for at in range(len(rows)):
            found = [label for _, label in self.row_labels(rows.take([at])) if label in unknown]
            for label in found:
                problems.add(rows.numbers[at], f"{self.label_column} {label!r} is not among the training labels")
            known += [] if found else [at]
        return rows.take(known)

    def label_counts(self, rows: Rows) -> dict[str, int]:
        """Rows per label."""
        return dict(Counter(label for _, label in self.row_labels(rows)))


def _unit_reader(name: str, required: bool) -> Callable[[Any], str | None]:
    """A function that gives a value as text, None for a missing one; it raises InputError."""

    def read(value: Any) -> str | None:
        if columns.is_missing(value):
            if required:
                raise InputError(f"{name} is missing; name the row's set")
            return None
        if isinstance(value, (list, dict)):
            raise InputError(f"{name} is {quote(value)}; a text or a number is needed")
        return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)

    return read


def _listed(names: str | Sequence[str] | None) -> Sequence[str]:
    return [names] if isinstance(names, str) else names or ()
