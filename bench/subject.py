"""What is measured: a finished run and its bundles."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console

from deploy.measurement.process import ROOT
from serving.bundle.bundle import Bundle
from serving.errors import InputError
from serving.inference.predictor import Predictor
from serving.settings.settings import available_cpus
from serving.tasks.text_classification import TextClassificationParameters
from trainer.run.run import Run

RECIPE = ROOT / "recipes" / "banking77.yaml"
WORK = Path("build/bench")
VARIANTS = ("fp32", "int8")


@dataclass(frozen=True)
class Subject:
    run: Run
    bundles: dict[str, Path]
    _labels: dict[str, list[str]] = field(default_factory=dict)

    @property
    def texts(self) -> list[str]:
        return list(self.run.read_evaluation().inputs)

    @property
    def truth(self) -> list[str]:
        return list(self.run.read_evaluation().targets)

    def answers(self, variant: str) -> list[str]:
        """The best label of each test text."""
        if variant not in self._labels:
            predictor = Predictor.open(self.bundles[variant].absolute(), threads=available_cpus())
            answers = predictor.predict(self.texts, TextClassificationParameters(top_k=1))
            self._labels[variant] = [answer[0]["label"] for answer in answers]
        return self._labels[variant]

    def digests(self) -> dict[str, str]:
        return {variant: Bundle.open(path).digest for variant, path in self.bundles.items()}


def prepare(run: Path | None, bundles: Path | None, console: Console) -> Subject:
    """Without ``run``, banking77 is trained; without ``bundles``, a folder, they are exported.

    Raises InputError, BundleError, or ProofFailed.
    """
    opened = _open_run(run) if run else _train(console)
    if bundles:
        return Subject(opened, {name: _check_bundle(bundles / name, opened) for name in VARIANTS})
    return Subject(opened, _export(opened, console))


def _open_run(path: Path) -> Run:
    """Only a classifier's proof records the accuracy."""
    run = Run.open(path)
    record = run.read_record()
    if (record["task"], record["metric"]) != ("text-classification", "accuracy"):
        raise InputError(
            f"{path} is a run of task {record['task']} with metric {record['metric']};"
            " the benchmark needs a run of text-classification with metric accuracy"
        )
    return run


def _check_bundle(bundle: Path, run: Run) -> Path:
    from trainer.run.lock import weight_hashes

    if Bundle.open(bundle).manifest.model.get("checkpoint") != weight_hashes(run):
        raise InputError(f"{bundle} was not exported from {run.root}; export it again, or omit --bundles")
    return bundle


def _train(console: Console) -> Run:
    from trainer.recipe.recipe import load_recipe
    from trainer.train import train

    return train(load_recipe(RECIPE, []), WORK / "run", console=console)


def _export(run: Run, console: Console) -> dict[str, Path]:
    from export.exporter import export_run

    bundles = {}
    for variant in VARIANTS:
        with console.status(f"exporting and proving {variant}…"):
            bundles[variant] = export_run(run, WORK / variant, variant, threads=available_cpus()).bundle
    return bundles
