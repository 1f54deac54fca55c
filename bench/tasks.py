"""Every task on public data: each recipe trained, exported and proven, and its test score beside a published one.

Published scores: BERT-base on SST-2 (Devlin et al. 2019, GLUE's test rows), BERT-base on all of GoEmotions' training
rows (Demszky et al. 2020), InferSent on SICK (Conneau et al. 2017), the best of WNUT17's shared task (Derczynski et al.
2017), USE+ConveRT on banking77 with ten examples a label (Casanueva et al. 2020).
"""

from __future__ import annotations

from dataclasses import dataclass

from rich.console import Console
from rich.table import Table

from bench.figures import STYLE, Figure
from bench.subject import WORK
from deploy.measurement.process import ROOT
from serving.settings.settings import available_cpus


@dataclass(frozen=True)
class TaskBenchmark:
    """A recipe, a test metric, and a published score of the same test rows."""

    recipe: str
    metric: str
    published: str


BENCHMARKS = (
    TaskBenchmark("sst2", "accuracy", "0.935, BERT-base"),
    TaskBenchmark("goemotions", "macro_f1", "0.46, BERT-base"),
    TaskBenchmark("sick-relatedness", "pearson", "0.884, InferSent"),
    TaskBenchmark("sick-entailment", "accuracy", "0.863, InferSent"),
    TaskBenchmark("sick-embeddings", "spearman", ""),
    TaskBenchmark("wnut17", "f1", "0.419, best of 2017"),
    TaskBenchmark("xquad", "f1", ""),
    TaskBenchmark("xquad-languages", "f1", ""),
    TaskBenchmark("xquad-retrieval", "recall_at_1", ""),
    TaskBenchmark("xquad-rerank", "recall_at_1", ""),
    TaskBenchmark("banking77-few-shot", "accuracy", "0.852, USE+ConveRT"),
    TaskBenchmark("banking77-unlabelled", "accuracy", ""),
)


@dataclass(frozen=True)
class TaskFigures:
    """The test score, and the share of inputs that bundle and checkpoint answer alike, if answers are decisions."""

    benchmark: TaskBenchmark
    score: Figure
    answers: Figure | None

    @property
    def figures(self) -> list[Figure]:
        return [self.score, *([self.answers] if self.answers else [])]


def measure_tasks(console: Console) -> list[TaskFigures]:
    """Train (or find) and export each recipe; raises InputError or ProofFailed."""
    return [_measure(benchmark, console) for benchmark in BENCHMARKS]


def tasks_table(measured: list[TaskFigures]) -> Table:
    table = Table(title="tasks on public data", **STYLE)
    for heading in ("recipe, metric", "measured", "equal answers", "published"):
        table.add_column(heading)
    for each in measured:
        metric = each.benchmark.metric.replace("_", " ")
        name = f"{each.benchmark.recipe}, {metric}"
        table.add_row(
            name, f"{each.score.value:.4f}", each.answers.note if each.answers else "", each.benchmark.published
        )
    return table


def _measure(benchmark: TaskBenchmark, console: Console) -> TaskFigures:
    from export.exporter import export_run
    from trainer.recipe.recipe import load_recipe
    from trainer.train import train

    folder = WORK / "tasks" / benchmark.recipe
    run = train(load_recipe(ROOT / "recipes" / f"{benchmark.recipe}.yaml"), folder / "run", console=console)
    parity = export_run(run, folder / "bundle", threads=available_cpus()).parity
    score = float(run.read_record()["metrics"]["test"][benchmark.metric])
    answers = None
    if parity.agreement is not None:
        name, note = f"{benchmark.recipe}, equal answers", f"{parity.answers_equal:,} of {parity.compared:,}"
        answers = Figure(name, 100 * parity.agreement, "%", correct=100.0, note=note)
    return TaskFigures(
        benchmark,
        Figure(f"{benchmark.recipe}, test {benchmark.metric}", score, "", note=benchmark.published),
        answers,
    )
