"""What a base model's generation_config.json asks is served as transformers obeys it, or refused before training."""

from __future__ import annotations

import io
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from export.exporter import export_run
from export.proof.answers.reference import load_reference
from serving.bundle.bundle import Bundle
from serving.errors import InputError
from serving.inference.predictor import Predictor
from serving.tasks.generation import GenerationParameters
from tests.tiny_generators import make_gpt2, make_t5
from tests.toys import write_toy
from trainer.model.generation_config import (
    LEFT_OUT,
    NEUTRAL,
    SERVED,
    left_out_warning,
    read_generation_config,
    served_settings,
)
from trainer.recipe.recipe import load_recipe
from trainer.run.run import Run
from trainer.train import train

ASKED = {
    "suppress_tokens": [*range(150, 180), 99_999],
    "begin_suppress_tokens": list(range(100, 150)),
    "bad_words_ids": [[50], [60, 61]],
    "min_new_tokens": 3,
    "no_repeat_ngram_size": 2,
    "repetition_penalty": 1.5,
    "forced_eos_token_id": 1,
}


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_t5(tmp_path_factory.mktemp("base") / "t5", factor=1.0)


def asking(base: Path, target: Path, **fields: Any) -> Path:
    """A copy of the base model whose generation_config.json has these fields too."""
    shutil.copytree(base, target)
    path = target / "generation_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **fields}))
    return target


@pytest.mark.slow
def test_served_as_transformers_obeys_it(base: Path, tmp_path: Path) -> None:
    """The proof compares torch's generate, which reads the file, with the answers as served; a request may override."""
    model = asking(base, tmp_path / "model", **ASKED)
    recipe = load_recipe(write_toy(tmp_path, model, "text2text-generation", training={"num_train_epochs": 1}))
    run = train(recipe, tmp_path / "run", console=Console(file=io.StringIO()))
    exported = export_run(run, tmp_path / "bundle")
    assert exported.parity.passed
    settings = Bundle.open(exported.bundle).manifest.settings
    assert {name: settings[name] for name in ASKED} == ASKED | {"forced_eos_token_id": [1]}
    predictor = Predictor.open(exported.bundle)
    asked = GenerationParameters(repetition_penalty=1, min_new_tokens=7)
    assert predictor.predict(["where is my parcel?"]) != predictor.predict(["where is my parcel?"], asked)


def test_a_run_that_was_not_told_is_refused(task_run: Callable[[str], Run], tmp_path: Path) -> None:
    """A checkpoint whose generation_config asks what its settings lack, as of earlier versions' runs."""
    checkpoint = asking(task_run("text2text-generation").checkpoint, tmp_path / "checkpoint", no_repeat_ngram_size=2)
    with pytest.raises(InputError, match=r"generation_config has no_repeat_ngram_size: 2, .* 0; train the run again"):
        load_reference(checkpoint, generates=True)


@pytest.mark.parametrize(
    "field", [{"guidance_scale": 1.5}, {"encoder_no_repeat_ngram_size": 3}, {"sequence_bias": [[[5], 1.0]]}]
)
def test_what_serving_cannot_do_is_refused(base: Path, tmp_path: Path, field: dict[str, Any]) -> None:
    """Before training, by the field's name."""
    model = asking(base, tmp_path / "model", **field)
    recipe = load_recipe(write_toy(tmp_path, model, "text2text-generation"))
    told = rf"its generation_config has {next(iter(field))}: .*serving cannot; remove it"
    with pytest.raises(InputError, match=told):
        train(recipe, tmp_path / "run", console=Console(file=io.StringIO()))
    assert not (tmp_path / "run").exists()


def test_what_does_nothing_is_taken(base: Path, tmp_path: Path) -> None:
    """Neutral values, beams and sampling, which are left out on both sides."""
    harmless = {"encoder_no_repeat_ngram_size": 0, "num_beams": 4, "do_sample": True, "temperature": 0.6, "top_k": 20}
    model = asking(base, tmp_path / "model", **harmless)
    assert served_settings(read_generation_config(model, "it"), "it") == {}


def test_of_a_model_without_the_file(tmp_path: Path) -> None:
    """Nothing is asked."""
    model = make_gpt2(tmp_path / "gpt2")
    (model / "generation_config.json").unlink()
    assert served_settings(read_generation_config(model, "it"), "it") == {}


def test_min_new_tokens_goes_before_min_length(base: Path, tmp_path: Path) -> None:
    """As in transformers."""
    model = asking(base, tmp_path / "model", min_new_tokens=3, min_length=9)
    assert served_settings(read_generation_config(model, "it"), "it") == {"min_new_tokens": 3}


def test_no_field_is_in_two_lists() -> None:
    """Each is served, left out on both sides, or refused unless it is neutral."""
    assert not (set(SERVED) & LEFT_OUT) | (set(SERVED) & set(NEUTRAL)) | (LEFT_OUT & set(NEUTRAL))


def test_what_only_a_request_asks_for_is_told() -> None:
    """Beams and sampling of the file, unless their values ask for nothing."""
    from transformers import GenerationConfig

    assert left_out_warning(GenerationConfig(num_beams=1, do_sample=False, min_length=4)) == ""
    told = left_out_warning(GenerationConfig(num_beams=4, length_penalty=2.0, do_sample=True, top_k=50))
    assert "asks for do_sample: True, length_penalty: 2.0, num_beams: 4, which checkpoint, proof and server" in told
