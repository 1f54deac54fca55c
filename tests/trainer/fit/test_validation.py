"""Validation of a generating model: bounded memory, the same figures."""

from __future__ import annotations

from pathlib import Path

import pytest
from rich.console import Console

from tests.tiny_generators import make_gpt2, make_t5
from tests.toys import write_toy
from trainer.fit import validation
from trainer.fit.encoding import EncodedItems
from trainer.fit.validation import encode_datasets, validate
from trainer.model.checkpoint import build_model
from trainer.recipe.recipe import load_recipe
from trainer.setup.training_setup import prepare_setup


@pytest.mark.parametrize("task", ["text-generation", "text2text-generation"])
def test_few_logits_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, task: str) -> None:
    """However large the batch, a model holds no more logits than allowed, or those of a lone row."""
    backbone = (make_gpt2 if task == "text-generation" else make_t5)(tmp_path / "backbone")
    setup = prepare_setup(load_recipe(write_toy(tmp_path, backbone, task)), tmp_path)
    datasets, _ = encode_datasets(setup, setup.to_record(tmp_path), Console(quiet=True))
    model = build_model(setup.base, setup.model_spec, []).eval()
    sizes: list[int] = []
    model.register_forward_hook(lambda _module, _inputs, output: sizes.append(output["logits"].numel()))
    whole = validate(model, datasets, 64)
    most = 3 * max(sizes) // len(datasets.validation)
    monkeypatch.setattr(validation, "MOST_LOGITS", most)
    sizes.clear()
    assert validate(model, datasets, 64) == pytest.approx(whole, rel=1e-5)
    assert len(sizes) > 1
    assert max(sizes) <= most


def test_rows_may_have_different_numbers_of_items(tiny_backbone: Path, tmp_path: Path) -> None:
    """Such as pairs of which some have hard negatives: each item is where its place says."""
    recipe = load_recipe(write_toy(tmp_path, tiny_backbone, "pairs without scores"))
    setup = prepare_setup(recipe, tmp_path)
    rows = setup.splits.train
    items = EncodedItems(setup.training_task, setup.task, setup.tokenizer, rows)
    texts = [text for inputs in rows.inputs for text in inputs.values()]
    assert len({len(inputs) for inputs in rows.inputs}) == 2
    assert [each.item for each in items] == texts
    assert [items[at].item for at in (0, 2, 3, 5, -1)] == [texts[at] for at in (0, 2, 3, 5, -1)]
    assert len(items) == len(texts)
