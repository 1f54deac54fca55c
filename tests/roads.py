"""The support table: every family of base models down the whole road, and what came of it.

    python -m tests.roads     goes every road and writes the table into docs/base-models.md

A road is: a tiny random model with a real tokenizer of its kind → training → evaluation → ONNX → the proof → a bundle
that is opened, replayed and asked. The proof wants equal token ids and equal answers on every row and every hard input.
"""

from __future__ import annotations

import io
import re
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

from rich.console import Console

from tests import tiny_generators, zoo
from tests.toys import TOYS, write_toy
from tests.zoo import FAMILIES

PAGE = Path(__file__).parent.parent / "docs" / "base-models.md"
TABLE = re.compile(r"(<!-- support table: python -m tests.roads -->\n).*?(<!-- end -->)", re.DOTALL)
IMPORTED_TABLE = re.compile(r"(<!-- imported: python -m tests.roads -->\n).*?(<!-- end -->)", re.DOTALL)

ENCODER_TOYS = {
    "text": "text-classification",
    "pair": "text pairs",
    "tokens": "token-classification",
    "answers": "question-answering",
    "vectors": "feature-extraction",
}
"""What an encoder is for, by the table's column, and the toy that tries it."""

GENERATORS: dict[str, tuple[str, Callable[[Path], Path]]] = {
    "T5": ("text2text-generation", tiny_generators.BACKBONES["text2text-generation"]),
    "GPT-2": ("text-generation", tiny_generators.BACKBONES["text-generation"]),
    "Llama": ("text-generation", tiny_generators.make_llama),
    **{family: ("text-generation", FAMILIES[family]) for family in ("Qwen2", "Qwen3")},
    "Phi": ("text-generation", zoo.GENERATORS["Phi"]),
    "BART": ("text2text-generation", FAMILIES["BART"]),
    **{family: ("text2text-generation", zoo.GENERATORS[family]) for family in ("Marian", "mBART")},
}
COLUMNS = (*ENCODER_TOYS, "generation")
YES, NOT_ITS_KIND = "✓", "–"


@dataclass(frozen=True)
class Road:
    """One family, one use of it."""

    family: str
    column: str

    def go(self, folder: Path) -> str:
        """``✓`` where the bundle is proven and answers, else the reason why not."""
        from export.exporter import export_run
        from export.proof.answers import hard_strings
        from serving.errors import UserError
        from serving.inference.predictor import Predictor
        from trainer.recipe.recipe import load_recipe
        from trainer.train import train

        try:
            run = train(load_recipe(self._recipe(folder)), folder / "run", console=Console(file=io.StringIO()))
            with mock.patch.object(hard_strings, "STRINGS", self._strings()):
                predictor = Predictor.open(export_run(run, folder / "bundle").bundle)
        except UserError as error:
            return str(error).splitlines()[0]
        answers = predictor.predict(run.read_evaluation().inputs if self.column != "vectors" else ["a text"])
        return YES if answers else "no answers"

    def _strings(self) -> int:
        """All generated strings once a family: its other roads have the same tokenizer."""
        from export.proof.answers import hard_strings

        return hard_strings.STRINGS if self.column in ("text", "generation") else 300

    def _recipe(self, folder: Path) -> Path:
        training: dict[str, Any] = {"num_train_epochs": 1}
        if self.column == "generation":
            toy, make = GENERATORS[self.family]
        else:
            toy, make = ENCODER_TOYS[self.column], FAMILIES[self.family]
        return write_toy(folder, make(folder / "backbone"), toy, training=training)


IMPORTED = {
    "text": ("sequence", "text-classification"),
    "tokens": ("token", "token-classification"),
    "answers": ("span", "question-answering"),
}
"""Of a model that others trained: its head, and the toy whose rows it is compared on."""


@dataclass(frozen=True)
class ImportedRoad:
    """transformers' own task model of a family, imported."""

    family: str
    column: str

    def go(self, folder: Path) -> str:
        """``✓`` where the run's checkpoint answers each row as transformers' model does, else the reason why not."""
        from serving.errors import UserError
        from tests.trained_elsewhere import TAGS, make_checkpoint
        from trainer.imports.importer import import_checkpoint

        head, toy = IMPORTED[self.column]
        labels = {"labels": TAGS} if head == "token" else {}
        model = make_checkpoint(FAMILIES[self.family](folder / "backbone"), folder / "model", head, **labels)
        rows = folder / TOYS[toy][1](folder)["train"]
        mapping = {"model": str(model), "data": {"train": str(rows)}}
        try:
            import_checkpoint(mapping, folder / "run", console=Console(file=io.StringIO()))
        except UserError as error:
            return str(error).partition(": ")[2].partition(";")[0]
        return YES


def has_class(family: str, column: str) -> bool:
    """Whether transformers has a class for it."""
    return column not in {"BART": ["tokens"], "OPT": ["tokens"], "EuroBERT": ["answers"], "NomicBERT": ["answers"]}.get(
        family, []
    )


IMPORTED_ROADS = [
    ImportedRoad(family, column) for family in FAMILIES for column in IMPORTED if has_class(family, column)
]
ROADS = [
    *(Road(family, column) for family in FAMILIES for column in ENCODER_TOYS),
    *(Road(family, "generation") for family in GENERATORS),
]


def table(results: dict[Any, str], columns: Sequence[str] = COLUMNS) -> str:
    """The table in Markdown, and under it the reason for each road that cannot be gone."""
    families = list(dict.fromkeys(road.family for road in results))
    cells = {(road.family, road.column): found for road, found in results.items()}
    rows = [[family, *(_cell(cells.get((family, column))) for column in columns)] for family in families]
    lines = [["family", *columns], ["---"] * (len(columns) + 1), *rows]
    reasons = [f"{road.family}, {road.column}: {found}" for road, found in results.items() if found != YES]
    return "\n".join(
        [*(f"| {' | '.join(line)} |" for line in lines), "", *(f"- {reason}" for reason in reasons)]
    ).strip()


def documented(pattern: re.Pattern[str] = TABLE) -> str:
    """A table as docs/base-models.md has it."""
    found = pattern.search(PAGE.read_text(encoding="utf-8"))
    return found[0].split("\n", 1)[1].rsplit("<!--", 1)[0].strip() if found else ""


def _cell(found: str | None) -> str:
    return NOT_ITS_KIND if found is None else YES if found == YES else "no"


def main() -> None:
    """Go every road and write the table."""
    for pattern, roads, columns in ((TABLE, ROADS, COLUMNS), (IMPORTED_TABLE, IMPORTED_ROADS, tuple(IMPORTED))):
        results: dict[Any, str] = {}
        for road in roads:  # type: ignore[attr-defined]
            with tempfile.TemporaryDirectory() as folder:
                results[road] = road.go(Path(folder))
            sys.stdout.write(f"{road.family:12} {road.column:12} {results[road]}\n")
        write_table(pattern, table(results, columns))


def write_table(pattern: re.Pattern[str], content: str) -> None:
    text = PAGE.read_text(encoding="utf-8")
    PAGE.write_text(pattern.sub(lambda found: f"{found[1]}{content}\n{found[2]}", text), encoding="utf-8")


if __name__ == "__main__":
    main()
