"""What is measured: a trained run and the two bundles exported from it. What is missing is made first."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console

from bench.process import ROOT
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
    """A finished run and its bundles, one a variant."""

    run: Run
    bundles: dict[str, Path]
    _labels: dict[str, list[str]] = field(default_factory=dict)

    @property
    def texts(self) -> list[str]:
        """The held-out test texts, in order."""
        return self.run.read_evaluation().inputs

    @property
    def truth(self) -> list[str]:
        """Their right labels."""
        return self.run.read_evaluation().targets

    def answers(self, variant: str) -> list[str]:
        """The best label of each test text as serving's predictor gives it; asked once and kept."""
        if variant not in self._labels:
            predictor = Predictor.open(self.bundles[variant].absolute(), threads=available_cpus())
            answers = predictor.predict(self.texts, TextClassificationParameters(top_k=1))
            self._labels[variant] = [answer[0]["label"] for answer in answers]
        return self._labels[variant]

    def digests(self) -> dict[str, str]:
        """The sha256 by which each bundle is known."""
        return {variant: Bundle.open(path).digest for variant, path in self.bundles.items()}


def prepare(run: Path | None, bundles: Path | None, console: Console) -> Subject:
    """The run and its bundles, trained and exported where they are not given.

    Args:
        run: a finished run; without it, the banking77 recipe is trained into ``build/bench/run``, or found there.
        bundles: a folder with the bundles ``fp32`` and ``int8``; without it, they are exported anew.

    Raises:
        InputError: the run is not finished or not one of accuracy, the data is not there, or a bundle is another run's.
        BundleError: a bundle cannot be trusted.
        ProofFailed: a bundle does not answer as its run does.
    """
    opened = _classifier(run) if run else _train(console)
    if bundles:
        return Subject(opened, {name: _of_run(bundles / name, opened) for name in VARIANTS})
    return Subject(opened, _export(opened, console))


def _classifier(path: Path) -> Run:
    """The run there, if it is one of single labels whose proof tells its accuracy, which is what is measured here."""
    run = Run.open(path)
    record = run.read_record()
    if (record["task"], record["metric"]) != ("text-classification", "accuracy"):
        raise InputError(
            f"{path}: is a run of task: {record['task']}, judged by {record['metric']};"
            " the benchmark takes one of text-classification, judged by accuracy"
        )
    return run


def _of_run(bundle: Path, run: Run) -> Path:
    """The bundle, if it was exported from this run."""
    from export.bundle.manifest import checkpoint_hashes

    if Bundle.open(bundle).manifest.model.get("checkpoint") != checkpoint_hashes(run):
        raise InputError(f"{bundle} was not exported from {run.root}; export it again, or leave --bundles out")
    return bundle


def _train(console: Console) -> Run:
    """Training returns at once where the folder holds this recipe's finished run."""
    from trainer.recipe.recipe import load_recipe
    from trainer.train import train

    return train(load_recipe(RECIPE, []), WORK / "run", console=console)


def _export(run: Run, console: Console) -> dict[str, Path]:
    from export.exporter import export_run

    made = {}
    for variant in VARIANTS:
        with console.status(f"exporting and proving {variant}…"):
            made[variant] = export_run(run, WORK / variant, variant, threads=available_cpus()).bundle
    return made
