"""Peak memory of training and of export with its proof, where labels and rows are many.

    python -m bench.proof_memory --labels 1000 --rows 50000

A tiny model is trained on made-up rows: its own memory is small, so that what is kept for each row shows.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated

import typer
import yaml

from deploy.measurement.process import ROOT, MeasurementError

WORDS, WORDS_A_TEXT, ROWS_A_LABEL = 2000, 14, 4
TASKS = ("text-classification", "multi-label-classification")


def main(
    labels: Annotated[int, typer.Option(min=2, help="Labels.")] = 1000,
    rows: Annotated[int, typer.Option(min=2, help="Validation rows, and as many test rows.")] = 50_000,
    task: Annotated[str, typer.Option(help=f"{' or '.join(TASKS)}.")] = TASKS[0],
    metric: Annotated[str | None, typer.Option(help="The recipe's metric. [default: the task's]")] = None,
    variant: Annotated[str, typer.Option(help="Of the export.")] = "fp32",
) -> None:
    """Print each command's peak memory and its time."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        recipe = write_recipe(folder, labels, rows, task, metric)
        commands = {
            "train": [str(recipe), "--output", str(folder / "run")],
            f"export {variant}": [str(folder / "run"), "--output", str(folder / "bundle"), "--variant", variant],
        }
        for command, arguments in commands.items():
            peak, seconds, cpu = run_measured([command.split()[0], *arguments])
            size = f"{labels:,} labels × {rows:,} rows"
            print(f"{command}, {size}: {peak / 1e9:.2f} GB at most, {seconds:.0f} s, {cpu:.0f} s of CPU")


def run_measured(arguments: Sequence[str]) -> tuple[int, float, float]:
    """Peak bytes, seconds, and seconds of CPU time of a command of Tuneship; raises MeasurementError."""
    start = time.monotonic()
    process = subprocess.Popen([sys.executable, str(ROOT / "tuneship.py"), *arguments], stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise MeasurementError(f"{arguments[0]} ended with status {os.waitstatus_to_exitcode(status)}")
    return usage.ru_maxrss * 1024, time.monotonic() - start, usage.ru_utime + usage.ru_stime


def write_recipe(folder: Path, labels: int, rows: int, task: str, metric: str | None) -> Path:
    """The recipe, with a base model and rows beside it."""
    write_base_model(folder / "base")
    for seed, (name, count) in enumerate({"train": ROWS_A_LABEL * labels, "validation": rows, "test": rows}.items()):
        with (folder / f"{name}.jsonl").open("w", encoding="utf-8") as file:
            file.writelines(json.dumps(row) + "\n" for row in create_rows(count, labels, seed, task))
    recipe = {
        "task": task,
        "model": str(folder / "base"),
        **({"metric": metric} if metric else {}),
        "data": {name: f"{name}.jsonl" for name in ("train", "validation", "test")},
        "training": {"num_train_epochs": 1, "learning_rate": 5e-3, "head_learning_rate": 2e-2, "bf16": False},
        "export": {"max_metric_drop": 0.05},
    }
    path = folder / "recipe.yaml"
    path.write_text(yaml.safe_dump(recipe), encoding="utf-8")
    return path


def create_rows(count: int, labels: int, seed: int, task: str) -> Iterator[dict[str, object]]:
    """A text names its label twice, among other words."""
    generator = random.Random(seed)
    for number in range(count):
        label = f"label {number % labels}"
        words = [word(generator.randrange(labels, max(WORDS, 2 * labels))) for _ in range(WORDS_A_TEXT - 2)]
        text = " ".join([word(number % labels), *words, word(number % labels)])
        yield {"text": text, "label": label if task == TASKS[0] else [label]}


def word(number: int) -> str:
    return f"w{number}"


def write_base_model(folder: Path) -> None:
    """A random one-layer BERT with a vocabulary of whole words."""
    from tokenizers import Tokenizer
    from tokenizers.models import WordPiece
    from tokenizers.normalizers import BertNormalizer
    from tokenizers.pre_tokenizers import BertPreTokenizer
    from tokenizers.processors import TemplateProcessing
    from transformers import BertConfig, BertModel, BertTokenizerFast

    special = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
    vocabulary = {piece: number for number, piece in enumerate([*special, *map(word, range(2 * WORDS))])}
    tokenizer = Tokenizer(WordPiece(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer, tokenizer.pre_tokenizer = BertNormalizer(), BertPreTokenizer()
    tokenizer.post_processor = TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[(name, vocabulary[name]) for name in ("[CLS]", "[SEP]")],
    )
    BertTokenizerFast(tokenizer_object=tokenizer, model_max_length=64).save_pretrained(folder)
    config = BertConfig(
        vocab_size=len(vocabulary), hidden_size=64, num_hidden_layers=1, num_attention_heads=4,
        intermediate_size=128, max_position_embeddings=64,
    )  # fmt: skip
    BertModel(config).save_pretrained(folder)


if __name__ == "__main__":
    typer.run(main)
