"""No altered graph passes as an approximate variant: `docs/proof.md` says which gate finds what, as measured here."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.mutations import MUTATIONS, NOISE, PASSES, TASKS, documented, measure
from trainer.run.run import Run

MAY_PASS = {f"noise of {size:.1%} of the weights' deviation" for size in NOISE[:-1]}
"""Little noise changes nothing that a user sees."""


@pytest.mark.slow
@pytest.mark.parametrize("toy", TASKS)
def test_the_table_shows_which_gates_find_a_mutation(task_run: Callable[[str], Run], toy: str) -> None:
    """`python -m tests.mutations` writes what is measured; the test fails where they differ."""
    assert measure(task_run(toy), toy) == documented()[toy]


def test_the_table_has_no_hole() -> None:
    """Every mutation of every task that has it is found by a gate, but for little noise."""
    cells = documented()
    assert {toy: set(cells[toy]) for toy in TASKS} == {
        toy: {name for name, (_, tasks) in MUTATIONS.items() if toy in tasks} for toy in TASKS
    }
    holes = [(toy, name) for toy in TASKS for name, mark in cells[toy].items() if mark == PASSES]
    assert [(toy, name) for toy, name in holes if name not in MAY_PASS] == []


def test_more_noise_is_not_found_less() -> None:
    """From some size on, noise is found."""
    for toy, cells in documented().items():
        found = [cells[f"noise of {size:.1%} of the weights' deviation"] != PASSES for size in NOISE]
        assert found == sorted(found), toy
