"""Every family of base models goes the whole road, and docs/base-models.md says no more and no less."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.imported_roads import ImportedRoad
from tests.roads import COLUMNS, NOT_ITS_KIND, ROADS, Road, documented, sample_roads, stated

TRIED = ROADS if os.environ.get("TUNESHIP_TEST_LONG") else sample_roads()


@pytest.mark.slow
@pytest.mark.parametrize("road", TRIED, ids=lambda road: f"{road.family}-{road.column}-{road.way}")
def test_a_road_ends_as_the_page_says(road: Road | ImportedRoad, tmp_path: Path) -> None:
    """Trained, or imported with the pipeline's answers; exported, proven and asked; or the reason that the page has."""
    assert stated(road) == road.go(tmp_path)


def test_the_page_has_a_row_for_every_family_and_a_cell_for_every_use() -> None:
    """The table is the roads' own, none left out."""
    rows = [line.split(" | ") for line in documented().splitlines() if line.startswith("| ")]

    assert rows[0][1:] == [*COLUMNS[:-1], f"{COLUMNS[-1]} |"]
    assert [row[0].removeprefix("| ") for row in rows[2:]] == list(dict.fromkeys(road.family for road in ROADS))
    marks = [mark for row in rows[2:] for cell in row[1:] for mark in cell.removesuffix(" |").split()]
    assert len([mark for mark in marks if mark != NOT_ITS_KIND]) == len(ROADS)


def test_the_tested_model_types_are_those_of_the_families() -> None:
    """A model of another type is converted before it is trained; these are not."""
    import ast
    import inspect

    from tests import zoo
    from trainer.model.architecture import TESTED

    calls = [node for node in ast.walk(ast.parse(inspect.getsource(zoo))) if isinstance(node, ast.Call)]
    made = {each.args[1].value for each in calls if getattr(each.func, "id", "") == "_make"}  # type: ignore[attr-defined]
    assert made == TESTED
