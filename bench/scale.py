"""Peak memory of an export, proof included, relative to the model's weights.

    python -m bench scale --large
    python -m bench.scale BERT-base --variant int8-dynamic
    python -m bench.scale BERT-base --variant int8 --rows 400 --tokens 128

The encoder has the size of the published one and random weights; a classifier is fitted to its vectors.
"""

from __future__ import annotations

import io
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from bench.figures import Figure
from deploy.measurement.process import MeasurementError
from tests.tiny import toy_rows, write_csv, write_recipe
from tests.zoo import FAMILIES

LIMIT = 3.0
"""Times the weights, that an export is to stay below."""

ROWS, TOKENS = 72, 16


@dataclass(frozen=True)
class Size:
    family: str
    width: int
    layers: int
    vocabulary: int


MODELS = {"BERT-base": Size("BERT", 768, 12, 30_522), "XLM-R-large": Size("XLM-R", 1024, 24, 250_002)}


@dataclass(frozen=True)
class Usage:
    """Of an export's process, in bytes of resident memory; ``bundle`` is None if the variant was not proven."""

    libraries: int
    peak: int
    seconds: float
    bundle: int | None


def make_run(folder: Path, size: Size, rows: int, tokens: int) -> int:
    """A finished run of texts of about that many tokens; returns the bytes of its weights, in float32."""
    from trainer.recipe.recipe import load_recipe
    from trainer.train import train

    base = FAMILIES[size.family](folder / "base")
    _enlarge(base, size)
    settings: dict[str, dict[str, Any]] = {"few_shot": {"examples_per_label": 100}, "model_head": {"pooling": "mean"}}
    recipe = write_recipe(folder, base, **settings, data={"max_length": tokens})
    toys = [toy_rows()[number % len(toy_rows())] for number in range(rows)]
    copies = tokens // 8 + 1
    write_csv(folder / "toy.csv", [(f"{number} {text} " * copies, label) for number, (text, label) in enumerate(toys)])
    run = train(load_recipe(recipe), folder / "run", console=Console(file=io.StringIO()))
    return (run.checkpoint / "model.safetensors").stat().st_size


def _enlarge(base: Path, size: Size) -> None:
    import torch
    from transformers import AutoConfig, AutoModel

    config = AutoConfig.from_pretrained(base)
    config.hidden_size, config.num_hidden_layers, config.vocab_size = size.width, size.layers, size.vocabulary
    config.num_attention_heads, config.intermediate_size = size.width // 64, 4 * size.width
    config.max_position_embeddings = 514
    config.initializer_range = 0.005  # layers that change little keep the words, so that texts can be told apart
    torch.manual_seed(0)
    AutoModel.from_config(config).save_pretrained(base)


def export(run: Path, bundle: Path, variant: str) -> Usage:
    from export.exporter import export_run
    from serving.errors import UserError
    from trainer.run.run import Run

    libraries, start, size = read_status("VmRSS"), time.monotonic(), None
    try:
        size = export_run(Run.open(run), bundle, variant).bytes
    except UserError as error:
        print(error)
    return Usage(libraries, read_status("VmHWM"), time.monotonic() - start, size)


def read_status(key: str) -> int:
    """Of this process, in bytes; ru_maxrss would include the process that started it."""
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(key))


def measure(size: Size, variants: list[str], rows: int = ROWS, tokens: int = TOKENS) -> tuple[int, dict[str, Usage]]:
    """The weights' bytes, and each variant's export in a process of its own."""
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        with ProcessPoolExecutor(1, get_context("spawn"), max_tasks_per_child=1) as processes:
            weights = processes.submit(make_run, work, size, rows, tokens).result()
            usages = {each: processes.submit(export, work / "run", work / each, each).result() for each in variants}
    return weights, usages


def measure_scale(large: bool) -> list[Figure]:
    """fp32 and int8; raises MeasurementError."""
    figures = []
    for name in MODELS if large else ["BERT-base"]:
        try:
            weights, usages = measure(MODELS[name], ["fp32", "int8"])
        except Exception as error:  # of a process that ended
            raise MeasurementError(f"{name}: {error}") from error
        figures.append(Figure(f"{name}'s size, weights in float32", weights / 1e9, "GB"))
        for variant, usage in usages.items():
            figures += to_figures(f"{name}'s size, {variant}", weights, usage)
    return figures


def to_figures(name: str, weights: int, usage: Usage) -> list[Figure]:
    """Peaks are divided by the bytes of the checkpoint's float32 weights."""
    ratio, unproven = usage.peak / weights, "" if usage.bundle else "not proven"
    limit = "" if ratio <= LIMIT else f"above {LIMIT:g}; the libraries are {usage.libraries / weights:.2f}"
    return [
        Figure(f"{name}: peak of export and proof", usage.peak / 1e9, "GB", note=unproven),
        Figure(f"{name}: peak, times the weights", ratio, "×", note=limit),
        Figure(f"{name}: the same without libraries", (usage.peak - usage.libraries) / weights, "×"),
        Figure(f"{name}: export and proof", usage.seconds, "s"),
    ]


def main(
    model: Annotated[str, typer.Argument(help=" or ".join(MODELS))] = "BERT-base",
    variant: str = "fp32",
    rows: Annotated[int, typer.Option(help="for training and test together")] = ROWS,
    tokens: Annotated[int, typer.Option(help="of a row")] = TOKENS,
) -> None:
    weights, usages = measure(MODELS[model], [variant], rows, tokens)
    for figure in to_figures(f"{model}'s size, {variant}", weights, usages[variant]):
        print(f"{figure.name}: {figure.value:,.2f} {figure.unit}  {figure.note}")


if __name__ == "__main__":
    typer.run(main)
