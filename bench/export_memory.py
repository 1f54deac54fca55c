"""Peak memory of an export, proof included, relative to the model's float32 weights.

    python -m bench.export_memory 558
    python -m bench.export_memory 1100 --generates
    python -m bench.export_memory 110 --variant int8 --rows 400 --tokens 128

The model has random weights: a tiny one is trained, and its checkpoint replaced by one of the same family.
"""

from __future__ import annotations

import io
import tempfile
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from tests.tiny import make_backbone, toy_rows, write_csv, write_recipe
from tests.tiny_generators import make_gpt2
from tests.toys import write_toy

VOCABULARY = 30_522


def make_run(folder: Path, parameters: float, generates: bool, rows: int, tokens: int) -> int:
    """A finished run with about that many parameters; returns the bytes of its weights."""
    from trainer.recipe.recipe import load_recipe
    from trainer.run.lock import read_lock
    from trainer.train import train

    recipe = _write_generating(folder) if generates else _write_classifying(folder, rows, tokens)
    run = train(load_recipe(recipe), folder / "run", console=Console(file=io.StringIO()))
    _enlarge(run.checkpoint, parameters, tokens)
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


def _enlarge(checkpoint: Path, parameters: float, tokens: int) -> None:
    import torch
    import transformers
    from transformers import AutoConfig

    config = AutoConfig.from_pretrained(checkpoint)
    config.hidden_size = width = next(size for most, size in WIDTHS.items() if parameters < most)
    config.num_attention_heads, config.vocab_size = width // 64, VOCABULARY
    config.num_hidden_layers = round((parameters - VOCABULARY * width) / (12 * width**2))
    if hasattr(config, "intermediate_size"):
        config.intermediate_size = 4 * width
    config.initializer_range = 0.02
    torch.manual_seed(0)
    getattr(transformers, config.architectures[0])(config).save_pretrained(checkpoint)


WIDTHS = {2e8: 768, 4e8: 1024, 8e8: 1280, 1e10: 1792}
"""By the largest number of parameters."""


def export(run: Path, bundle: Path, variant: str, threads: int) -> tuple[int, int]:
    """Returns this process's peak of resident memory and the bundle's size, in bytes."""
    from export.exporter import ProofFailed, export_run
    from trainer.run.run import Run

    try:
        size = export_run(Run.open(run), bundle, variant, threads=threads).bytes
    except ProofFailed as error:  # random weights guess, so that an approximate variant cannot be proven
        size = 0
        print(error)
    return peak(), size


def peak() -> int:
    """Of this process's resident memory, in bytes; ru_maxrss would include that of the process that started it."""
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))


def main(
    parameters: Annotated[float, typer.Argument(help="millions of them")],
    variant: str = "fp32",
    generates: Annotated[bool, typer.Option(help="a GPT-2 instead of a BERT that classifies")] = False,
    rows: Annotated[int, typer.Option(help="of a classifier, for training and test together")] = 72,
    tokens: Annotated[int, typer.Option(help="of a classifier's row")] = 16,
    threads: int = 1,
    folder: Annotated[Path | None, typer.Option(help="for about three times the weights")] = None,
) -> None:
    with tempfile.TemporaryDirectory(dir=folder) as name:
        work = Path(name)
        with ProcessPoolExecutor(1, get_context("spawn"), max_tasks_per_child=1) as processes:
            weights = processes.submit(make_run, work, parameters * 1e6, generates, rows, tokens).result()
            highest, size = processes.submit(export, work / "run", work / "bundle", variant, threads).result()
    print(f"{weights / 4e6:,.0f} M parameters, {weights / 1e9:.2f} GB in float32")
    print(f"{variant}: a bundle of {size / 1e9:.2f} GB")
    print(f"peak of the export: {highest / 1e9:.2f} GB, {highest / weights:.2f} times the weights")


if __name__ == "__main__":
    typer.run(main)
