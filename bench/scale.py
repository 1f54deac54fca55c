"""Peak memory of an export, proof included, relative to the model's float32 weights.

    python -m bench scale --large
    python -m bench.scale 1100 --generates
    python -m bench.scale 110 --variant int8 --rows 400 --tokens 128

The model has random weights: a tiny one is trained, and its checkpoint replaced by one of the same family.
"""

from __future__ import annotations

import io
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from bench.figures import Figure
from bench.process import MeasurementError
from tests.tiny import make_backbone, toy_rows, write_csv, write_recipe
from tests.tiny_generators import make_gpt2
from tests.toys import write_toy

VOCABULARY = 30_522

WIDTHS = {2e8: 768, 4e8: 1024, 8e8: 1280, 1e10: 1792}
"""By the largest number of parameters."""

LIMIT = 3.0
"""Times the weights, that an export is to stay below."""


@dataclass(frozen=True)
class Size:
    width: int
    layers: int
    vocabulary: int = VOCABULARY

    @classmethod
    def of(cls, parameters: float) -> Size:
        """About that many parameters."""
        width = next(size for most, size in WIDTHS.items() if parameters < most)
        return cls(width, round((parameters - VOCABULARY * width) / (12 * width**2)))


BASE, LARGE = {"BERT-base's size": Size(768, 12)}, {"XLM-R-large's size": Size(1024, 24, 250_002)}


@dataclass(frozen=True)
class Usage:
    """Of an export's process, in bytes of resident memory; ``bundle`` is None if the variant was not proven."""

    libraries: int
    peak: int
    seconds: float
    bundle: int | None


def make_run(folder: Path, model: Size, generates: bool, rows: int, tokens: int) -> int:
    """A finished run; returns the bytes of its weights."""
    from trainer.recipe.recipe import load_recipe
    from trainer.run.lock import read_lock
    from trainer.train import train

    recipe = _write_generating(folder) if generates else _write_classifying(folder, rows, tokens)
    run = train(load_recipe(recipe), folder / "run", console=Console(file=io.StringIO()))
    _enlarge(run.checkpoint, model)
    read_lock(run).with_result(run, run.read_record()).write(run)
    return (run.checkpoint / "model.safetensors").stat().st_size


def _write_classifying(folder: Path, rows: int, tokens: int) -> Path:
    """Texts of about that many tokens."""
    base = make_backbone(folder / "base")
    training, head = {"num_train_epochs": 1}, {"pooling": "cls"}
    recipe = write_recipe(folder, base, data={"max_length": min(tokens, 64)}, training=training, model_head=head)
    toys = [toy_rows()[number % len(toy_rows())] for number in range(rows)]
    copies = tokens // 8 + 1
    write_csv(folder / "toy.csv", [(f"{number} {text} " * copies, label) for number, (text, label) in enumerate(toys)])
    return recipe


def _write_generating(folder: Path) -> Path:
    return write_toy(folder, make_gpt2(folder / "base"), "text-generation", training={"num_train_epochs": 1})


def _enlarge(checkpoint: Path, size: Size) -> None:
    import torch
    import transformers
    from transformers import AutoConfig

    config = AutoConfig.from_pretrained(checkpoint)
    config.hidden_size, config.num_hidden_layers, config.vocab_size = size.width, size.layers, size.vocabulary
    config.num_attention_heads = size.width // 64
    if hasattr(config, "intermediate_size"):
        config.intermediate_size = 4 * size.width
    config.initializer_range = 0.02
    torch.manual_seed(0)
    getattr(transformers, config.architectures[0])(config).save_pretrained(checkpoint)


def export(run: Path, bundle: Path, variant: str, threads: int) -> Usage:
    from export.exporter import export_run
    from serving.errors import UserError
    from trainer.run.run import Run

    libraries, start, size = read_status("VmRSS"), time.monotonic(), None
    try:
        size = export_run(Run.open(run), bundle, variant, threads=threads).bytes
    except UserError as error:  # random weights guess, so that an approximate variant cannot always be proven
        print(error)
    return Usage(libraries, read_status("VmHWM"), time.monotonic() - start, size)


def read_status(key: str) -> int:
    """Of this process, in bytes; ru_maxrss would include the process that started it."""
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(key))


def measure(
    size: Size, variants: list[str], generates: bool, rows: int, tokens: int, threads: int, folder: Path | None
) -> tuple[int, dict[str, Usage]]:
    """The weights' bytes, and each variant's export in a process of its own."""
    with tempfile.TemporaryDirectory(dir=folder) as name:
        work = Path(name)
        with ProcessPoolExecutor(1, get_context("spawn"), max_tasks_per_child=1) as processes:
            weights = processes.submit(make_run, work, size, generates, rows, tokens).result()
            usages = {
                each: processes.submit(export, work / "run", work / each, each, threads).result() for each in variants
            }
    return weights, usages


def measure_scale(large: bool) -> list[Figure]:
    """fp32 and int8, with a thread each; raises MeasurementError."""
    figures = []
    for name, size in (BASE | (LARGE if large else {})).items():
        try:
            weights, usages = measure(size, ["fp32", "int8"], False, rows=72, tokens=16, threads=1, folder=None)
        except Exception as error:  # of a process that ended
            raise MeasurementError(f"{name}: {error}") from error
        figures.append(Figure(f"{name}, weights in float32", weights / 1e9, "GB"))
        for variant, usage in usages.items():
            figures += to_figures(f"{name}, {variant}", weights, usage)
    return figures


def to_figures(name: str, weights: int, usage: Usage) -> list[Figure]:
    ratio, unproven = usage.peak / weights, "" if usage.bundle else "not proven, as random weights may be"
    limit = "" if ratio <= LIMIT else f"above {LIMIT:g}; the libraries are {usage.libraries / weights:.2f}"
    return [
        Figure(f"{name}: peak of export and proof", usage.peak / 1e9, "GB", note=unproven),
        Figure(f"{name}: peak, times the weights", ratio, "×", note=limit),
        Figure(f"{name}: the same without libraries", (usage.peak - usage.libraries) / weights, "×"),
        Figure(f"{name}: export and proof", usage.seconds, "s"),
    ]


def main(
    parameters: Annotated[float, typer.Argument(help="millions of them")],
    variant: str = "fp32",
    generates: Annotated[bool, typer.Option(help="a GPT-2 instead of a BERT that classifies")] = False,
    rows: Annotated[int, typer.Option(help="of a classifier, for training and test together")] = 72,
    tokens: Annotated[int, typer.Option(help="of a classifier's row")] = 16,
    threads: int = 1,
    folder: Annotated[Path | None, typer.Option(help="for about three times the weights")] = None,
) -> None:
    size = Size.of(parameters * 1e6)
    weights, usages = measure(size, [variant], generates, rows, tokens, threads, folder)
    for figure in to_figures(variant, weights, usages[variant]):
        print(f"{figure.name}: {figure.value:,.2f} {figure.unit}  {figure.note}")


if __name__ == "__main__":
    typer.run(main)
