"""The support table: every family of base models down the whole road, and what came of it.

    python -m tests.roads             goes every road and writes the table into docs/base-models.md
    python -m tests.roads imported    the imported ones alone, or ``trained``: the others stay as the page has them

A road is: a tiny random model with a real tokenizer of its kind → training → evaluation → ONNX → the proof → a bundle
that is opened, replayed and asked. The proof wants equal token ids and equal answers on every row and every hard input.
`tests.imported_roads` has those of models that others trained.
"""

from __future__ import annotations

import io
import re
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

from rich.console import Console

from tests.imported_roads import GENERATORS, YES, ImportedRoad, has_class
from tests.toys import write_toy
from tests.zoo import FAMILIES

PAGE = Path(__file__).parent.parent / "docs" / "base-models.md"
TABLE = re.compile(r"(<!-- support table: python -m tests.roads -->\n).*?(<!-- end -->)", re.DOTALL)

ENCODER_TOYS = {
    "text": "text-classification",
    "pair": "text pairs",
    "tokens": "token-classification",
    "answers": "question-answering",
    "vectors": "feature-extraction",
}
"""What an encoder is for, by the table's column, and the toy that tries it."""

COLUMNS = (*ENCODER_TOYS, "generation")
WAYS = ("trained", "imported")
NOT_ITS_KIND = "–"


@dataclass(frozen=True)
class Road:
    """One family, one use of it."""

    family: str
    column: str
    way = "trained"

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


ROADS: list[Road | ImportedRoad] = [
    *(Road(family, column) for family in FAMILIES for column in ENCODER_TOYS),
    *(Road(family, "generation") for family in GENERATORS),
    *(ImportedRoad(family, column) for family in FAMILIES for column in ENCODER_TOYS if has_class(family, column)),
    *(ImportedRoad(family, "generation") for family in GENERATORS),
]


def sample_roads() -> list[Road | ImportedRoad]:
    """Each family's text and generation, and of the other uses a quarter, so that each has families of its own."""
    families, uses = list(FAMILIES), [(column, way) for column in ENCODER_TOYS for way in WAYS]

    def is_tried(road: Road | ImportedRoad) -> bool:
        always = road.column in ("text", "generation")
        return always or (families.index(road.family) + uses.index((road.column, road.way))) % 4 == 0

    return [road for road in ROADS if is_tried(road)]


def table(results: dict[Road | ImportedRoad, str]) -> str:
    """The table in Markdown, and under it the reason for each road that cannot be gone."""
    families = list(dict.fromkeys(road.family for road in results))
    cells = {(road.family, road.column, road.way): found for road, found in results.items()}
    rows = [[family, *(_cell([cells.get((family, column, way)) for way in WAYS]) for column in COLUMNS)]
            for family in families]  # fmt: skip
    lines = [["family", *COLUMNS], ["---"] * (len(COLUMNS) + 1), *rows]
    reasons = [f"{_mark(road)}{found}" for road, found in results.items() if found != YES]
    return "\n".join([*(f"| {' | '.join(line)} |" for line in lines), "", *reasons]).strip()


def documented() -> str:
    """The table as docs/base-models.md has it."""
    found = TABLE.search(PAGE.read_text(encoding="utf-8"))
    return found[0].split("\n", 1)[1].rsplit("<!--", 1)[0].strip() if found else ""


def stated(road: Road | ImportedRoad) -> str:
    """What the page says of a road: yes, or the reason why not."""
    lines = documented().splitlines()
    cells = next(line.strip("| ").split(" | ") for line in lines if line.startswith(f"| {road.family} |"))
    if cells[1 + COLUMNS.index(road.column)].split(" ")[WAYS.index(road.way)] == YES:
        return YES
    return next(line.removeprefix(_mark(road)) for line in lines if line.startswith(_mark(road)))


def _mark(road: Road | ImportedRoad) -> str:
    return f"- {road.family}, {road.column}, {road.way}: "


def _cell(found: list[str | None]) -> str:
    """Trained, and imported."""
    marks = [NOT_ITS_KIND if each is None else YES if each == YES else "no" for each in found]
    return NOT_ITS_KIND if set(marks) == {NOT_ITS_KIND} else " ".join(marks)


def main(ways: Sequence[str]) -> None:
    """Go every road and write the table."""
    results: dict[Road | ImportedRoad, str] = {}
    for road in ROADS:
        if road.way not in ways:
            results[road] = stated(road)
            continue
        with tempfile.TemporaryDirectory() as folder:
            results[road] = road.go(Path(folder))
        sys.stdout.write(f"{road.family:12} {road.column:12} {road.way:10} {results[road]}\n")
        sys.stdout.flush()
    text = PAGE.read_text(encoding="utf-8")
    PAGE.write_text(TABLE.sub(lambda found: f"{found[1]}{table(results)}\n{found[2]}", text), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:] or WAYS)
