"""Pairs without scores: each row's second text is a right answer to its first one, and other rows' are wrong ones."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from serving.errors import InputError, shorten
from trainer.data import columns
from trainer.data.pairs import group_pairs, negative_texts, to_inputs
from trainer.data.rows import Rows, normalize
from trainer.data.table import Table, join_some, with_nested
from trainer.metrics.bootstrap import value_of
from trainer.metrics.ranking import QueryMean, Ranks, query_means
from trainer.metrics.resampling import WeightedMetric
from trainer.recipe.applicability import RANKING_LOSSES
from trainer.tasks.base import MetricValues, TrainingTask
from trainer.tasks.row_reader import RowReader
from trainer.tasks.scoring import Interval, mistake


class UnscoredPairs(TrainingTask):
    """Reads the pairs, and scores how high the right answers rank. A row's target is its second text."""

    mistake_measure = "rank"
    shares_passages = True

    def rows(self, table: Table, *, whole: bool = True) -> Rows:
        rows = super().rows(table, whole=whole)
        return replace(rows, targets=[inputs["text_pair"] for inputs in rows.inputs])

    def arrange(self, table: Table, labelled: bool | None) -> Table:
        """The answers are no labels."""
        return super().arrange(with_nested(table, self.data.negatives()), labelled=False)

    def read_inputs(self, table: Table) -> list[Any]:
        """``{"text", "text_pair", "negative_1", …}`` for each row."""
        if self.data.text_pair is None:
            raise InputError(
                f"data.text_pair: missing; under model_head.loss: {self.recipe.loss} a row is a text and a second one"
                " that answers it",
                field="data.text_pair",
            )
        pairs, names = super().read_inputs(table), self.data.negatives()
        if not names:
            return pairs
        columns.require_columns(table, "data.negative", names)
        negatives = [
            columns.map_rows(table, lambda value, name=name: self._redacted(negative_texts(name, value)), values)
            for name, values in ((name, table.columns[name]) for name in names)
        ]
        return columns.map_rows(table, lambda pair, *found: to_inputs(pair, [t for each in found for t in each]),
                                pairs, *negatives)  # fmt: skip

    def read_targets(self, table: Table) -> list[Any]:
        """`rows` puts the second texts in their places."""
        return [""] * len(table)

    def groups(self, table: Table, inputs: list[Any]) -> list[str]:
        return group_pairs(inputs)

    def require_answers(self, train: Rows) -> None:
        """Raise InputError where all rows have the same answer."""
        if len({normalize(text) for text in train.targets}) < 2:
            raise InputError(f"{train.name}: every training row has the same second text; there is nothing to learn")

    @abstractmethod
    def ranked(self, rows: Rows, answers: Sequence[Any]) -> Iterator[tuple[Ranks, str]]:
        """For each row the ranks of its query's right answers, and the text that ranks first."""

    def metrics(self, rows: Rows, answers: Sequence[Any]) -> MetricValues:
        return {name: value_of(metric) for name, metric in self.query_means(rows, answers).items()}

    def weighted_metric(self, metric: str, rows: Rows, answers: Sequence[Any]) -> WeightedMetric:
        return self.query_means(rows, answers)[metric]

    def intervals(self, rows: Rows, answers: Sequence[Any]) -> Mapping[str, Interval]:
        return {name: metric.interval() for name, metric in self.query_means(rows, answers).items()}

    def query_means(self, rows: Rows, answers: Sequence[Any]) -> Mapping[str, QueryMean]:
        """Of the queries, each of which counts once, however many rows it has."""
        seen: set[str] = set()
        queries = [normalize(inputs["text"]) for inputs in rows.inputs]
        first = [not (query in seen or seen.add(query)) for query in queries]  # type: ignore[func-returns-value]
        return query_means([ranks for ranks, _ in self.ranked(rows, answers)], first)

    def mistakes(self, rows: Rows, answers: Sequence[Any], most: int = 10) -> list[dict[str, Any]]:
        """The queries whose best right answer ranks lowest."""
        found = [(ranks[0], at, first) for at, (ranks, first) in enumerate(self.ranked(rows, answers)) if ranks[0] > 1]
        return [
            mistake(
                rows,
                at,
                text=rows.inputs[at]["text"],
                expected=shorten(rows.targets[at], 200),
                answered=shorten(first, 200),
                rank=float(rank),
            )
            for rank, at, first in sorted(found, key=lambda each: (-each[0], each[1]))[:most]
        ]

    def _redacted(self, texts: list[str]) -> list[str]:
        return [self.redacted(text) for text in texts]


def right_answers(rows: Rows) -> list[set[str]]:
    """Of each row: the second texts of all rows with its first text, without case and extra spaces."""
    found: dict[str, set[str]] = {}
    for inputs in rows.inputs:
        found.setdefault(normalize(inputs["text"]), set()).add(normalize(inputs["text_pair"]))
    return [found[normalize(inputs["text"])] for inputs in rows.inputs]


def require_scores(reader: RowReader, table: Table) -> None:
    """Raise InputError for pairs whose column of scores is neither there nor named."""
    name, data = reader.label_column, reader.data
    if data.text_pair and data.label is None and name not in table.columns:
        raise InputError(
            f"{table.name}: no column {name!r} (data.label) with the pairs' scores; columns there:"
            f" {join_some(list(table.columns))}. Name it; pairs without scores are learned under model_head.loss:"
            f" {RANKING_LOSSES[reader.recipe.task]}",
            field="data.label",
        )
