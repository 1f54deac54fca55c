"""A recipe whose rows have one of every fault, checked once."""

from __future__ import annotations

from pathlib import Path

import pytest

from checks.check import Checked, check_recipe
from tests.sharing import made_once
from tests.tiny import make_backbone, toy_rows, write_csv, write_recipe
from trainer.recipe.recipe import load_recipe

WRONG = (3, 30, 60)
"""The places of rows whose label is swapped for another."""
SWAPPED = {"cancel": "refund", "refund": "track", "track": "cancel"}

TEST = [
    ("PLEASE cancel my parcel!", "cancel"),  # leaks, but for case and punctuation
    ("money for the blue lamp pleas", "refund"),  # leaks, with a typo
    ("where is order 17?", "cancel"),  # leaks, with another label
    ("what about a package of mine", "refund"),
    ("I have been waiting for days", "track"),
    ("no longer needed, end it", "cancel"),
]
EXTRA = [
    ("has my parcel been shippedÃ¼", "track"),  # mojibake
    ("refund me at ada@example.com or +49 171 1234567", "refund"),
    ("Wo bleibt denn eigentlich meine Bestellung von letzter Woche?", "track"),
    ("stop it " * 80, "cancel"),  # is cut
    ("cancel the raсing bike", "Cancel"),  # a Cyrillic letter, and a label in another case
]


def planted_rows() -> list[tuple[str, str]]:
    """The toy's, with three wrong labels, and others with faults."""
    rows = [(text, SWAPPED[label] if at in WRONG else label) for at, (text, label) in enumerate(toy_rows())]
    return [*rows, *EXTRA]


@pytest.fixture(scope="session")
def planted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The recipe; read it, never write beside it."""

    def make(folder: Path) -> None:
        data = {"train": "train.csv", "validation": "validation.csv", "test": "test.csv", "max_length": 48}
        write_recipe(folder, make_backbone(folder / "bert"), data=data)
        write_csv(folder / "train.csv", planted_rows())
        write_csv(
            folder / "validation.csv", [("can you cancel our gift today?", "cancel"), ("track it for us", "track")]
        )
        write_csv(folder / "test.csv", TEST)

    return made_once(tmp_path_factory, "planted", make) / "recipe.yaml"


@pytest.fixture(scope="session")
def checked(planted: Path) -> Checked:
    return check_recipe(load_recipe(planted))
