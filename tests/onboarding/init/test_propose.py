"""From a data file to a recipe: what is written is read back and taken by a training's own checks."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from onboarding.init.propose import Proposal, propose
from onboarding.init.roles import Asked
from serving.errors import InputError
from tests import tiny_generators
from tests.onboarding.init.writing import LABELS, TEXTS, csv, jsonl, toy
from tests.tiny import write_csv
from tests.toys import GENERATING_TOYS, MORE_TOYS, TOYS
from trainer.recipe.loader import parse_yaml
from trainer.recipe.recipe import load_recipe
from tuneship import app


def proposed(data: Path, model: Path | str, **asked: Any) -> Proposal:
    return propose(str(data), Asked(model=str(model), **asked), data.parent / "recipe.yaml")


def values(proposal: Proposal) -> dict[str, Any]:
    return {entry.key: entry.value for entry in proposal.draft.entries}


@pytest.mark.slow
def test_the_yaml_is_the_draft(tiny_backbone: Path, tmp_path: Path) -> None:
    """Comments and all, it reads back as what was chosen; each choice that was inferred has its reason."""
    found = proposed(toy(tmp_path), tiny_backbone)
    text = found.draft.to_yaml()
    assert parse_yaml(text) == found.draft.to_mapping()
    assert "  # the only column that looks like an answer\n  label: intent\n" in text
    assert max(map(len, text.splitlines())) <= 110
    plain = {"data.train", "training.seed", "data.text_pair"}
    assert all(entry.why for entry in found.draft.entries if entry.key not in plain)


@pytest.mark.slow
def test_a_rehearsed_recipe(tiny_backbone: Path, tmp_path: Path) -> None:
    """The checks of a training have read every row, and the lengths are the tokenizer's."""
    found = proposed(toy(tmp_path), tiny_backbone)
    assert not found.rehearsal.problem
    assert found.rehearsal.setup is not None
    chosen = values(found)
    assert chosen["data.max_length"] in (32, 64)
    assert chosen["training.num_train_epochs"] == 15
    assert any("14 test rows measure little" in note for note in found.notes)


@pytest.mark.slow
def test_names_that_break_yaml(tiny_backbone: Path, tmp_path: Path) -> None:
    """Columns and labels may be called anything."""
    name = "# text: {a}\nb"
    path = write_csv(tmp_path / "it's # odd: {1}.csv", list(zip(TEXTS, LABELS, strict=True)), (name, "- label: *x"))
    found = proposed(path, tiny_backbone, text=name)
    assert not found.rehearsal.problem
    (tmp_path / "recipe.yaml").write_text(found.draft.to_yaml())
    recipe = load_recipe(tmp_path / "recipe.yaml")
    assert (recipe.data.text, recipe.data.label) == (name, "- label: *x")


@pytest.mark.slow
def test_a_few_unusable_rows(tiny_backbone: Path, tmp_path: Path) -> None:
    """They are left out and told; of many, the recipe refuses them and the reason is told."""
    few = csv(tmp_path, text=[*TEXTS, ""], intent=[*LABELS, "track"])
    found = proposed(few, tiny_backbone)
    assert values(found)["data.unusable_rows"] == "skip"
    assert "1 row cannot be used and is left out: rows.csv, row 73: text is empty" in found.draft.to_yaml().replace(
        "\n  # ", " "
    )
    many = csv(tmp_path, text=[*TEXTS, *[""] * 9], intent=[*LABELS, *["track"] * 9])
    refused = proposed(many, tiny_backbone)
    assert "9 rows cannot be used" in refused.rehearsal.problem
    assert "data.unusable_rows" not in values(refused)


@pytest.mark.slow
def test_an_unreachable_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The rows are checked without it, and what was not checked is told."""
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setattr("trainer.model.base_model._from_hub", unreachable)
    found = proposed(toy(tmp_path), "nobody/nothing")
    assert found.rehearsal.splits is not None
    assert found.rehearsal.setup is None
    assert "nobody/nothing cannot be had here, the rows were checked without it" in found.notes[0]


def unreachable(model: str, revision: str | None) -> Path:
    from trainer.model.base_model import HubUnreachable

    raise HubUnreachable("no route")


@pytest.mark.slow
def test_another_language(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Texts that are not English get a base model that reads them, and a rate that suits its size."""
    monkeypatch.setattr("trainer.model.base_model._from_hub", unreachable)
    german = [f"Wo bleibt denn eigentlich meine Bestellung Nummer {n} von letzter Woche?" for n in range(60)]
    path = csv(tmp_path, text=german, label=["a", "b", "c"] * 20)
    found = propose(str(path), Asked(), tmp_path / "recipe.yaml")
    assert values(found)["model"] == "FacebookAI/xlm-roberta-base"
    assert values(found)["training.learning_rate"] == 3.0e-5
    reason = next(entry.why for entry in found.draft.entries if entry.key == "model")
    assert "German" in reason
    assert "1.1 GB" in reason


@pytest.mark.slow
def test_imbalance(tiny_backbone: Path, tmp_path: Path) -> None:
    """Where some labels are rare, the metric that chooses counts each label the same."""
    texts = [f"{text} {n}" for n in range(3) for text in TEXTS]
    found = proposed(csv(tmp_path, text=texts, label=["b" if n < 8 else "a" for n in range(len(texts))]), tiny_backbone)
    assert values(found)["training.metric_for_best_model"] == "macro_f1"


@pytest.mark.slow
def test_long_texts(tiny_backbone: Path, tmp_path: Path) -> None:
    """Texts that are longer than the model reads are read in windows."""
    found = proposed(csv(tmp_path, text=[f"{text} " * 40 for text in TEXTS], label=LABELS), tiny_backbone)
    assert values(found)["data.long_text"] == "windows"
    assert not found.rehearsal.problem


@pytest.mark.slow
def test_personal_data_and_repeated_texts(tiny_backbone: Path, tmp_path: Path) -> None:
    """They are counted, with what looks closer."""
    texts = [*TEXTS, TEXTS[0], "write to ada@example.com about my parcel"]
    found = proposed(csv(tmp_path, text=texts, label=[*LABELS, "cancel", "track"]), tiny_backbone)
    assert "1 rows repeat the text of another; tuneship check says which" in found.notes
    assert "personal data (email 1): see tuneship check, and data.redact" in found.notes


@pytest.mark.slow
@pytest.mark.parametrize("toy_name", sorted(TOYS | GENERATING_TOYS | MORE_TOYS))
def test_toys_of_every_task(toy_name: str, tiny_backbone: Path, tmp_path: Path) -> None:
    """The project's own toy data get a recipe that a training takes."""
    makers = {"text2text-generation": tiny_generators.make_t5, "text-generation": tiny_generators.make_gpt2}
    task, write = (TOYS | GENERATING_TOYS | MORE_TOYS)[toy_name]
    data = write(tmp_path)
    model = makers[toy_name](tmp_path / "model") if toy_name in makers else tiny_backbone
    asked = {"text": data.get("text"), "text_pair": data.get("text_pair"), "task": task}
    found = proposed(tmp_path / data["train"], model, **asked)
    assert not found.rehearsal.problem, found.rehearsal.problem
    assert values(found)["task"] == task


@pytest.mark.slow
def test_the_command(tiny_backbone: Path, tmp_path: Path) -> None:
    """It writes the recipe once, and as JSON every choice; what it writes is trained."""
    data, recipe = toy(tmp_path), tmp_path / "recipe.yaml"
    asked = ["init", str(data), "--model", str(tiny_backbone), "--output", str(recipe)]
    told = CliRunner().invoke(app, asked)
    assert told.exit_code == 0, told.output
    assert "tuneship train" in told.output
    assert max(map(len, told.output.splitlines())) <= max(80, len(str(recipe)) + 50)
    again = CliRunner().invoke(app, asked)
    assert isinstance(again.exception, InputError)
    found = json.loads(CliRunner().invoke(app, [*asked, "--overwrite", "--json"]).stdout)
    assert found["accepted"]
    assert [each["value"] for each in found["choices"] if each["key"] == "data.label"] == ["intent"]
    trained = CliRunner().invoke(
        app, ["train", str(recipe), "--output", str(tmp_path / "run"), "--set", "training.num_train_epochs=1"]
    )
    assert trained.exit_code == 0, trained.output


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--task", "sorting"], "--task 'sorting' is no task; accepted are: text-classification"),
        (["--output", "/nowhere/at/all.yaml"], "there is no such folder"),
    ],
)
def test_refused_before_a_look(tmp_path: Path, options: list[str], expected: str) -> None:
    """Mistakes in options show before the data are read."""
    result = CliRunner().invoke(app, ["init", str(tmp_path / "no.csv"), *options])
    assert expected in str(result.exception)


@pytest.mark.slow
def test_shuffled_columns_tell_the_same(tiny_backbone: Path, tmp_path: Path) -> None:
    """The order of columns decides nothing that names and values tell."""
    columns = {
        "id": range(72),
        "note": [t[:7] for t in TEXTS],
        "message": TEXTS,
        "label": LABELS,
        "stars": [1, 2, 3] * 24,
    }
    for seed in range(4):
        names = list(columns)
        random.Random(seed).shuffle(names)
        found = proposed(csv(tmp_path, **{name: columns[name] for name in names}), tiny_backbone)
        assert (values(found)["data.text"], values(found)["data.label"]) == ("message", "label")


@pytest.mark.slow
def test_a_lone_answer_of_chats(tmp_path: Path) -> None:
    """Conversations need a chat template: without the model they are not read, and that is told."""
    rows = [{"messages": [{"role": "user", "content": t}, {"role": "assistant", "content": "ok"}]} for t in TEXTS]
    path = jsonl(tmp_path, rows)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("trainer.model.base_model._from_hub", unreachable)
        found = propose(str(path), Asked(), tmp_path / "recipe.yaml")
    assert found.rehearsal.splits is None
    assert "so the rows could not be checked" in found.notes[0]
    assert yaml.safe_load(found.draft.to_yaml())["training"]["trainable"] == "lora"
