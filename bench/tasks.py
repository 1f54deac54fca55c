"""Every task on real data: each recipe trained, exported, proven; its test score beside those asked and published.

Published are: BERT-base on SST-2 (Devlin et al. 2019, GLUE's own test rows), BERT-base on all of GoEmotions' training
rows (Demszky et al. 2020), InferSent on SICK (Conneau et al. 2017), the best of WNUT17's shared task (Derczynski et al.
2017), USE+ConveRT on banking77 with ten examples a label (Casanueva et al. 2020).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from bench.figures import STYLE, VERDICTS, Asked, Figure
from bench.process import ROOT
from bench.subject import WORK
from serving.settings.settings import available_cpus


@dataclass(frozen=True)
class Subject:
    """A recipe, the score that is looked at, and what others reached on the same test rows.

    Attributes:
        recipe: its name under ``recipes/``.
        metric: of run.json's test figures.
        asked: in the metric's own unit, a share or a coefficient.
        published: a figure, and whose it is.
    """

    recipe: str
    metric: str
    asked: float | None
    published: str


SUBJECTS = (
    Subject("sst2", "accuracy", 0.90, "0.935, BERT-base"),
    Subject("goemotions", "macro_f1", 0.43, "0.46, BERT-base"),
    Subject("sick-relatedness", "pearson", 0.87, "0.884, InferSent"),
    Subject("sick-entailment", "accuracy", 0.86, "0.863, InferSent"),
    Subject("sick-embeddings", "spearman", None, ""),
    Subject("wnut17", "f1", 0.42, "0.419, best of 2017"),
    Subject("xquad", "f1", None, ""),
    Subject("xquad-languages", "f1", None, ""),
    Subject("banking77-few-shot", "accuracy", 0.80, "0.852, USE+ConveRT"),
)


@dataclass(frozen=True)
class TaskFigures:
    """What became of one subject."""

    subject: Subject
    score: Figure
    answers: Figure

    @property
    def figures(self) -> list[Figure]:
        """The score as trained, and the share of inputs answered as the checkpoint answers them."""
        return [self.score, self.answers]


def measure_tasks(console: Console) -> list[TaskFigures]:
    """Each subject's figures; a run that is there already, of the same recipe and data, is not trained again.

    Raises:
        InputError: the data is not there.
        ProofFailed: a graph does not answer as its checkpoint does.
    """
    return [_measure(subject, console) for subject in SUBJECTS]


def tasks_table(measured: list[TaskFigures]) -> Table:
    """Task by task: reached, asked, published."""
    table = Table(title="tasks on real data", **STYLE)
    for heading in ("recipe, score", "reached", "asked", "", "equal answers", "published"):
        table.add_column(heading)
    for each in measured:
        subject, asked = each.subject, each.score.asked
        table.add_row(
            f"{subject.recipe}, {subject.metric.replace('_', ' ')}",
            f"{each.score.value:.4f}",
            f"{asked.relation} {asked.value:g}" if asked else "",
            VERDICTS[each.score.holds],
            each.answers.note,
            subject.published,
        )
    return table


def _measure(subject: Subject, console: Console) -> TaskFigures:
    from export.exporter import export_run
    from trainer.recipe.recipe import load_recipe
    from trainer.train import train

    folder = WORK / "tasks" / subject.recipe
    run = train(load_recipe(_recipe(subject)), folder / "run", console=console)
    parity = export_run(run, folder / "bundle", threads=available_cpus()).parity
    score = float(run.read_record()["metrics"]["test"][subject.metric])
    asked = None if subject.asked is None else Asked("≥", subject.asked)
    equal = 100 * parity.answers_equal / parity.compared
    return TaskFigures(
        subject,
        Figure(f"{subject.recipe}, test {subject.metric}", score, "", asked, note=subject.published),
        Figure(
            f"{subject.recipe}, equal answers", equal, "%", Asked("≥", 100.0),
            note=f"{parity.answers_equal:,} of {parity.compared:,}",
        ),
    )  # fmt: skip


def _recipe(subject: Subject) -> Path:
    return ROOT / "recipes" / f"{subject.recipe}.yaml"
