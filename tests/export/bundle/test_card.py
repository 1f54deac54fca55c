"""The model card is the bundle's own evidence, in Hugging Face's format, and can be made again to the byte."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import ModelCard
from typer.testing import CliRunner

from export.bundle.card import check_card, render_card
from serving.bundle.bundle import Bundle
from serving.errors import BundleError
from tests.bundles import forge, manifest_of
from tests.toys import TOYS
from tuneship import app


@pytest.mark.parametrize("toy", TOYS)
def test_hugging_face_reads_the_card(task_bundle: Callable[[str], Path], toy: str) -> None:
    """The metadata is valid, and its model-index has the score as served."""
    bundle = task_bundle(toy)
    card, parity = ModelCard((bundle / "README.md").read_text()), json.loads((bundle / "parity.json").read_text())
    assert card.data.library_name == "onnx"
    assert {"tuneship", "onnx", "fp32"} <= set(card.data.tags)
    [result] = card.data.eval_results
    assert (result.metric_type, result.metric_value) == (parity["metric"], round(parity["score"], 6))


@pytest.mark.parametrize("toy", TOYS)
def test_the_card_can_be_made_again(task_bundle: Callable[[str], Path], toy: str) -> None:
    """From the opened bundle, byte for byte."""
    bundle = Bundle.open(task_bundle(toy))
    assert check_card(bundle).encode() == bundle.read("README.md")


def test_the_command_prints_the_card(tiny_bundle: Path) -> None:
    """``tuneship card`` prints what is inside."""
    result = CliRunner().invoke(app, ["card", str(tiny_bundle)])
    assert result.exit_code == 0
    assert result.output == (tiny_bundle / "README.md").read_text()


def test_a_changed_card_is_refused(tiny_bundle: Path, tmp_path: Path) -> None:
    """A figure added by hand is found, although every hash is right."""
    praised = (tiny_bundle / "README.md").read_text().replace("## Limits", "99.9 % accurate.\n\n## Limits")
    bundle = forge(tiny_bundle, tmp_path / "b", files={"README.md": praised.encode()})
    with pytest.raises(BundleError, match=r"README\.md is not what manifest\.json and parity\.json make"):
        check_card(Bundle.open(bundle))


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("parity.json", "{"),
        ("parity.json", "[]"),
        ("parity.json", "{}"),
        ("parity.json", '{"metric": "accuracy"}'),
        ("parity.json", '{"metric": "accuracy", "score": "high", "rows": 5}'),
        ("parity.json", '{"metric": [1], "score": 0.5, "rows": 5, "gates": 3}'),
        ("parity.json", "\xff"),
        ("variants.json", '{"candidates": [1]}'),
    ],
)
def test_forged_figures_are_refused(tiny_bundle: Path, tmp_path: Path, name: str, content: str) -> None:
    """Files of figures that no export writes are told as such, although every hash is right."""
    bundle = forge(tiny_bundle, tmp_path / "b", files={name: content.encode("latin-1")})
    with pytest.raises(BundleError, match=r"are not those of an export.*Export the bundle again"):
        check_card(Bundle.open(bundle))


def test_every_section_is_there(tiny_bundle: Path) -> None:
    """The sections of a model card, in order."""
    headings = re.findall(r"^## (.+)$", (tiny_bundle / "README.md").read_text(), re.MULTILINE)
    assert headings == ["Use", "Data", "Training", "Metrics", "Proof", "Limits", "Labels"]


def test_the_scores_are_the_proofs(tiny_bundle: Path) -> None:
    """Score, interval, counts: each as the files have it."""
    card, parity = (tiny_bundle / "README.md").read_text(), json.loads((tiny_bundle / "parity.json").read_text())
    low, high = parity["change"]["served_interval"]
    assert f"| test accuracy, as served | {parity['score']:.2%} | {low:.2%} – {high:.2%} |" in card
    assert f"| inputs compared, hard ones included | {parity['compared']} |" in card
    assert f"| learning_rate | `{0.005}`" in card.replace("`training.learning_rate`", "learning_rate")


def test_the_recipes_card_section_is_in_the_card(tiny_bundle: Path) -> None:
    """License, language and data set are metadata; intended use and limitations are text."""
    said = {
        "license": "apache-2.0",
        "language": ["en", "de"],
        "dataset": "PolyAI/banking77",
        "intended_use": "Sorts messages.",
        "limitations": "Not for legal advice.",
    }
    manifest = manifest_of(tiny_bundle).model_copy(update={"card": said})
    text = render_card(manifest, tiny_bundle)
    card = ModelCard(text)
    assert (card.data.license, card.data.language) == ("apache-2.0", ["en", "de"])
    assert card.data.datasets == ["PolyAI/banking77"]
    assert card.data.eval_results[0].dataset_type == "PolyAI/banking77"
    assert "Sorts messages." in text
    assert "- Not for legal advice." in text


def test_the_trainings_warnings_are_in_the_card(tiny_bundle: Path) -> None:
    """Each is a line beside the data; a card without any does not mention them."""
    manifest = manifest_of(tiny_bundle)
    assert "warned" not in render_card(manifest.model_copy(update={"data_warnings": []}), tiny_bundle)
    warnings = ["449 of 499 test texts are in the training set too", "labels with few rows: a (1)"]
    card = render_card(manifest.model_copy(update={"data_warnings": warnings}), tiny_bundle)
    assert all(f"\n- {warning}\n" in card.partition("## Training")[0] for warning in warnings)


def test_variants_are_listed_where_they_were_tried(tiny_bundle: Path, tmp_path: Path) -> None:
    """The served variant, and why others are not served, from variants.json."""
    candidate: dict[str, Any] = {"variant": "fp32", "bytes": 2_000_000, "speed": {"ratio": 1.0}, "answers_equal": 38}
    kept = candidate | {"compared": 38, "rows": "test", "holds": True, "reason": ""}
    dropped = kept | {"variant": "int8", "speed": None, "holds": False, "reason": "answers changed | by neighbours"}
    search = {"chosen": "fp32", "asked": "every gate", "speed": "items a second", "candidates": [kept, dropped]}
    search |= {"figure": "variants.svg"}
    bundle = forge(tiny_bundle, tmp_path / "b", files={"variants.json": json.dumps(search).encode()})
    card = render_card(manifest_of(bundle), bundle)
    assert "| fp32 (served) | 2.0 MB | 1.00 × | 38 of 38 | test | passed |" in card
    assert "](variants.svg)" in card
    assert "answers changed \\| by neighbours" in card
