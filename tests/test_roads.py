"""Every family of base models goes the whole road, and docs/base-models.md says no more and no less."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.roads import (
    COLUMNS,
    IMPORTED,
    IMPORTED_ROADS,
    IMPORTED_TABLE,
    NOT_ITS_KIND,
    ROADS,
    YES,
    ImportedRoad,
    Road,
    documented,
)


@pytest.mark.slow
@pytest.mark.parametrize("road", IMPORTED_ROADS, ids=lambda road: f"{road.family}-{road.column}")
def test_an_imported_model_answers_as_the_page_says(road: ImportedRoad, tmp_path: Path) -> None:
    """As transformers' own class does, or it is refused with the reason that the page gives."""
    lines = documented(IMPORTED_TABLE).splitlines()
    cells = next(line.strip("| ").split(" | ") for line in lines if line.startswith(f"| {road.family} |"))
    reason = f"- {road.family}, {road.column}: "
    told = [line.removeprefix(reason) for line in lines if line.startswith(reason)]

    assert road.go(tmp_path) == (told[0] if told else cells[1 + list(IMPORTED).index(road.column)])


@pytest.mark.slow
@pytest.mark.parametrize("road", ROADS, ids=lambda road: f"{road.family}-{road.column}")
def test_a_road_ends_as_the_page_says(road: Road, tmp_path: Path) -> None:
    """Trained, exported, proven equal, opened and asked, or else with the reason that the page gives."""
    found = road.go(tmp_path)

    assert stated(road) == (YES if found == YES else found)


def test_the_page_has_a_row_for_every_family_and_a_cell_for_every_use() -> None:
    """The table is the roads' own, none left out."""
    rows = [line.split(" | ") for line in documented().splitlines() if line.startswith("| ")]

    assert rows[0][1:] == [*COLUMNS[:-1], f"{COLUMNS[-1]} |"]
    assert [row[0].removeprefix("| ") for row in rows[2:]] == list(dict.fromkeys(road.family for road in ROADS))
    cells = [cell.removesuffix(" |") for row in rows[2:] for cell in row[1:]]
    assert len([cell for cell in cells if cell != NOT_ITS_KIND]) == len(ROADS)


def test_the_tested_model_types_are_those_of_the_families() -> None:
    """A model of another type is converted before it is trained; these are not."""
    import ast
    import inspect

    from tests import zoo
    from trainer.model.architecture import TESTED

    calls = [node for node in ast.walk(ast.parse(inspect.getsource(zoo))) if isinstance(node, ast.Call)]
    made = {each.args[1].value for each in calls if getattr(each.func, "id", "") == "_make"}  # type: ignore[attr-defined]
    assert made == TESTED


def stated(road: Road) -> str:
    """What the page says of a road: yes, or the reason why not."""
    lines = documented().splitlines()
    cells = next(line.strip("| ").split(" | ") for line in lines if line.startswith(f"| {road.family} |"))
    if cells[1 + COLUMNS.index(road.column)] == YES:
        return YES
    reason = f"- {road.family}, {road.column}: "
    return next(line.removeprefix(reason) for line in lines if line.startswith(reason))
