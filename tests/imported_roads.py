"""An imported checkpoint of a family, held to transformers' own pipeline on every row."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from tests import tiny_generators, zoo
from tests.tiny import LABELS, toy_rows, write_csv
from tests.toys import GENERATING_TOYS, TOYS
from tests.trained_elsewhere import TAGS, make_checkpoint
from tests.zoo import FAMILIES

TEXTS = [text for text, _ in toy_rows()[::6]]
PAIRS = list(zip(TEXTS, reversed(TEXTS), strict=True))
TOLERANCE = 1e-4
YES = "✓"

GENERATORS: dict[str, tuple[str, Callable[[Path], Path]]] = {
    "T5": ("text2text-generation", tiny_generators.BACKBONES["text2text-generation"]),
    "GPT-2": ("text-generation", tiny_generators.BACKBONES["text-generation"]),
    "Llama": ("text-generation", tiny_generators.make_llama),
    **{family: ("text-generation", FAMILIES[family]) for family in ("Qwen2", "Qwen3")},
    "Phi": ("text-generation", zoo.GENERATORS["Phi"]),
    "BART": ("text2text-generation", FAMILIES["BART"]),
    **{family: ("text2text-generation", zoo.GENERATORS[family]) for family in ("Marian", "mBART")},
}


@dataclass(frozen=True)
class ImportedRoad:
    """transformers' own task model of a family, imported; ``column`` as in `tests.roads`."""

    family: str
    column: str
    way = "imported"

    def go(self, folder: Path) -> str:
        """``✓`` where each row has the pipeline's answer, else the reason why not."""
        from serving.errors import UserError

        try:
            return next((f"row {row} has another answer" for row in _COLUMNS[self.column](self.family, folder)), YES)
        except UserError as error:
            return str(error).partition(": ")[2].partition(";")[0]


def has_class(family: str, column: str) -> bool:
    """Whether transformers has a class for it."""
    lacking = {"BART": ["tokens"], "OPT": ["tokens"], "EuroBERT": ["answers"], "NomicBERT": ["answers"]}
    return column not in lacking.get(family, [])


def _classify(family: str, folder: Path, items: list[Any]) -> Iterator[int]:
    """One label, several, and a number."""
    kinds = {"": LABELS, "multi_label_classification": LABELS, "regression": ("value",)}
    for problem, labels in kinds.items():
        home = folder / (problem or "single")
        home.mkdir()
        config = {"problem_type": problem} if problem else {}
        model = make_checkpoint(FAMILIES[family](home / "base"), home / "model", "sequence", labels, **config)
        ours = _answers(_import(model, home, items), items, {"threshold": 0} if problem.startswith("multi") else {})
        texts = [{"text": a, "text_pair": b} for a, b in items] if isinstance(items[0], tuple) else items
        for row, (theirs, own) in enumerate(zip(_pipe("text-classification", model, texts), ours, strict=True)):
            if not _same(theirs, own, "label"):
                yield row


def _tag(family: str, folder: Path) -> Iterator[int]:
    model = make_checkpoint(FAMILIES[family](folder / "base"), folder / "model", "token", TAGS)
    ours = _answers(_import(model, folder, TEXTS), TEXTS, {"aggregation_strategy": "none"})
    found = _pipe("token-classification", model, TEXTS, aggregation_strategy="none")
    for row, (theirs, own) in enumerate(zip(found, ours, strict=True)):
        visible = [each for each in theirs if TEXTS[row][each["start"] : each["end"]].strip()]
        if not _same(visible, own, "entity"):
            yield row


def _read(family: str, folder: Path) -> Iterator[int]:
    """transformers 5 has no pipeline for it: the import itself compares start and end with the model's own."""
    model = make_checkpoint(FAMILIES[family](folder / "base"), folder / "model", "span")
    _run(model, folder / TOYS["question-answering"][1](folder)["train"], folder)
    yield from ()


def _embed(family: str, folder: Path) -> Iterator[int]:
    """As sentence-transformers has it: the mean of the tokens' vectors, to length 1."""
    model = FAMILIES[family](folder / "model")
    modules = [("Transformer", ""), ("Pooling", "1_Pooling"), ("Normalize", "2_Normalize")]
    listed = [{"type": f"sentence_transformers.models.{kind}", "path": path} for kind, path in modules]
    (model / "modules.json").write_text(json.dumps(listed))
    (model / "1_Pooling").mkdir(exist_ok=True)
    (model / "1_Pooling" / "config.json").write_text(json.dumps({"pooling_mode_mean_tokens": True}))
    ours = _answers(_import(model, folder, TEXTS), TEXTS)
    for row, (theirs, own) in enumerate(zip(_mean_vectors(model), ours, strict=True)):
        if not np.allclose(theirs, own, atol=TOLERANCE):
            yield row


def _generate(family: str, folder: Path) -> Iterator[int]:
    """Prompts by the pipeline; transformers 5 has none for text to text, whose answers are those of its generate."""
    from transformers import AutoModelForSeq2SeqLM, AutoTokenizer, pipeline

    from trainer.model.checkpoint import load_checkpoint
    from trainer.model.generate import generate

    toy, make = GENERATORS[family]
    model = make(folder / "model")
    rows = folder / GENERATING_TOYS[toy][1](folder)["train"]
    rows.write_text("".join(rows.read_text(encoding="utf-8").splitlines(keepends=True)[:9]), encoding="utf-8")
    run = _run(model, rows, folder, max_new_tokens=8)
    saved, prompts = load_checkpoint(run.checkpoint), run.read_evaluation().inputs
    ours = [each.text for each in generate(saved.model, saved.tokenizer, saved.task, prompts)]
    greedy: dict[str, Any] = {"max_new_tokens": 8, "do_sample": False, "num_beams": 1}
    if toy == "text-generation":
        pipe = pipeline(toy, str(model), device="cpu")
        theirs = [pipe(each, return_full_text=False, **greedy)[0]["generated_text"] for each in prompts]
    else:
        tokenizer, whole = AutoTokenizer.from_pretrained(model), AutoModelForSeq2SeqLM.from_pretrained(model).eval()
        answers = [whole.generate(**_inputs(tokenizer, each), **greedy)[0] for each in prompts]
        theirs = [tokenizer.decode(each, skip_special_tokens=True) for each in answers]
    yield from (row for row, pair in enumerate(zip(ours, theirs, strict=True)) if pair[0] != pair[1])


_COLUMNS: dict[str, Callable[[str, Path], Iterator[int]]] = {
    "text": lambda family, folder: _classify(family, folder, TEXTS),
    "pair": lambda family, folder: _classify(family, folder, PAIRS),
    "tokens": _tag,
    "answers": _read,
    "vectors": _embed,
    "generation": _generate,
}
"""By the table's column what makes, imports and compares; it gives the rows whose answers differ."""


def _import(model: Path, folder: Path, items: list[Any]) -> Any:
    pair = isinstance(items[0], tuple)
    rows = [tuple(item) for item in items] if pair else [(item,) for item in items]
    file = write_csv(folder / "rows.csv", rows, ("text", "other") if pair else ("text",))
    return _run(model, file, folder, **({"text_pair": "other"} if pair else {}))


def _run(model: Path, rows: Path, folder: Path, **data: Any) -> Any:
    from trainer.imports.importer import import_checkpoint

    mapping = {"model": str(model), "data": {"train": str(rows), **data}}
    return import_checkpoint(mapping, folder / "run", console=Console(file=io.StringIO()))


def _answers(run: Any, items: list[Any], parameters: dict[str, Any] | None = None) -> list[Any]:
    """Of the saved checkpoint, padded in one batch."""
    from trainer.model.checkpoint import load_checkpoint
    from trainer.model.inference import rows_logits
    from trainer.model.inputs import encode

    saved = load_checkpoint(run.checkpoint)
    encoded = encode(saved.tokenizer, saved.task, items)
    logits = rows_logits(saved.model, saved.tokenizer, encoded, len(items))
    options = saved.task.parameters_type(**parameters) if parameters else None
    return [saved.task.decode(*pair, options) for pair in zip(encoded, logits, strict=True)]


def _pipe(task: str, model: Path, items: list[Any], **options: Any) -> list[Any]:
    """One item at a time: some of transformers' heads answer otherwise beside longer texts."""
    from transformers import pipeline

    pipe, every = pipeline(task, str(model), device="cpu", **options), {} if options else {"top_k": None}
    return [pipe(item, **every) for item in items]


def _mean_vectors(model: Path) -> Any:
    import torch
    from transformers import AutoConfig, AutoModel, AutoModelForTextEncoding, AutoTokenizer

    kind = AutoModelForTextEncoding if AutoConfig.from_pretrained(model).model_type == "t5" else AutoModel
    tokenizer, backbone = AutoTokenizer.from_pretrained(model), kind.from_pretrained(model).eval()
    with torch.inference_mode():
        encoded = [tokenizer(text, return_tensors="pt") for text in TEXTS]  # of XLNet with token types
        means = [backbone(**each).last_hidden_state.mean(dim=1) for each in encoded]
    return torch.nn.functional.normalize(torch.cat(means), dim=-1).numpy()


def _inputs(tokenizer: Any, text: str) -> dict[str, Any]:
    encoded = tokenizer(text, return_tensors="pt")
    return {name: encoded[name] for name in ("input_ids", "attention_mask")}


def _same(theirs: list[Any], ours: list[Any], name: str) -> bool:
    """Equal labels in the same order, and scores within TOLERANCE."""
    names = [[each[name] for each in answers] for answers in (theirs, ours)]
    scores = [[each["score"] for each in answers] for answers in (theirs, ours)]
    return names[0] == names[1] and np.allclose(*scores, rtol=0, atol=TOLERANCE)
