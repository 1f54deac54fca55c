"""The recipe: strict, typed, with errors that say how to mend it."""

from __future__ import annotations

import itertools
import os
from pathlib import Path

import pytest

from serving.errors import InputError
from tests.paths import ROOT
from trainer.recipe.recipe import DEFAULT_MODEL, Recipe, load_recipe

SAMPLE = """\
task: text-classification
model: sentence-transformers/all-MiniLM-L6-v2      # a hub id or a folder
data: {train: train.csv, test: test.csv, validation: 0.1, text: text, label: category}
training: {learning_rate: 2.0e-4, num_train_epochs: 3, per_device_train_batch_size: 32, seed: 0}
"""
MINIMAL = "task: text-classification\ndata: {train: a.csv, test: 0.2}\n"


def write(folder: Path, text: str) -> Path:
    path = folder / "recipe.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def message(folder: Path, text: str, *overrides: str) -> str:
    with pytest.raises(InputError) as caught:
        load_recipe(write(folder, text), overrides)
    return str(caught.value)


def test_sample(tmp_path: Path) -> None:
    """The issue's sample recipe loads, with its paths looked up beside it."""
    recipe = load_recipe(write(tmp_path, SAMPLE))
    assert recipe.model == DEFAULT_MODEL
    assert recipe.data.train == str(tmp_path / "train.csv")
    assert recipe.data.validation == 0.1
    assert recipe.training.learning_rate == 2.0e-4
    assert recipe.model_head.pooling is None


def test_round_trip(tmp_path: Path) -> None:
    """A saved recipe, in another folder, is the same recipe and holds no absolute path."""
    recipe = load_recipe(write(tmp_path, SAMPLE), ["data.column_names=[text, category]"])
    saved = tmp_path / "runs" / "one" / "recipe.yaml"
    saved.parent.mkdir(parents=True)
    recipe.save(saved)
    assert load_recipe(saved) == recipe
    assert str(tmp_path) not in saved.read_text()


def test_overrides(tmp_path: Path) -> None:
    """Overrides are dotted keys with YAML values, and ``1e-4`` is a number."""
    changes = [
        "training.learning_rate=1e-4",
        "data.test=0.3",
        "training.bf16=false",
        "model_head.pooling=cls",
    ]
    recipe = load_recipe(write(tmp_path, MINIMAL), changes)
    assert recipe.training.learning_rate == 1e-4
    assert (recipe.data.test, recipe.training.bf16, recipe.model_head.pooling) == (0.3, False, "cls")


def test_model_folder(tmp_path: Path) -> None:
    """A model that lies beside the recipe is a folder, any other name a hub id."""
    (tmp_path / "mine").mkdir()
    path = write(tmp_path, MINIMAL)
    assert load_recipe(path, ["model=mine"]).model == str(tmp_path / "mine")
    assert load_recipe(path, ["model=./absent"]).model == str(tmp_path / "absent")
    assert load_recipe(path, ["model=owner/absent"]).model == "owner/absent"


def test_data_set(tmp_path: Path) -> None:
    """With a hub data set, train, test and validation are names of splits, not paths."""
    text = "task: text-classification\ndata: {dataset: owner/name, train: train, test: test, validation: 0.1}\n"
    data = load_recipe(write(tmp_path, text)).data
    assert (data.dataset, data.train, data.test) == ("owner/name", "train", "test")


def test_unlabelled_rows(tmp_path: Path) -> None:
    """The file lies beside the recipe, and bounds the metrics that are means over rows, no others."""
    path = write(tmp_path, MINIMAL + "export: {rows: texts.jsonl}\n")
    assert load_recipe(path).export.rows == str(tmp_path / "texts.jsonl")
    load_recipe(path).save(tmp_path / "saved.yaml")
    assert "rows: ./texts.jsonl" in (tmp_path / "saved.yaml").read_text()
    for change in ("training.metric_for_best_model=macro_f1", "task=regression", "task=token-classification"):
        with pytest.raises(InputError, match=r"export\.rows: .* one row can cost more than its share"):
            load_recipe(path, [change])
    with pytest.raises(InputError, match=r"export\.rows: cannot be like the rows of several sets"):
        load_recipe(path, ["data.test=[b.csv, c.csv]"])
    for task in ("question-answering", "text-generation"):
        assert load_recipe(path, [f"task={task}"]).export.rows


def test_head_rate() -> None:
    """The classifier, a fresh layer, learns 25 times faster under adamw, alone too."""
    from trainer.recipe.training import Training

    assert Training(learning_rate=2e-4).resolve().head_learning_rate == pytest.approx(5e-3)
    assert Training(learning_rate=2e-4, trainable="classifier").resolve().head_learning_rate == pytest.approx(5e-3)
    assert Training(learning_rate=0.1, optim="sgd").resolve().head_learning_rate == 0.1
    assert Training(head_learning_rate=0.5).resolve().head_learning_rate == 0.5


def test_every_field_is_described() -> None:
    """Each key of the recipe says what it is, so that errors and documentation can."""
    schema = Recipe.model_json_schema()
    sections = [schema["$defs"][name] for name in ("Data", "Training", "ModelHead", "Export")]
    bare = [name for section in sections for name, field in section["properties"].items() if "description" not in field]
    assert bare == []


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        (
            "training.learning_rate=200",
            "training.learning_rate: 200 is not accepted; give a number above 0, at most 10",
        ),
        ("training.learning_rate=fast", 'training.learning_rate: "fast" is not accepted'),
        (
            "training.num_train_epochs=2.5",
            "training.num_train_epochs: 2.5 is not accepted; give a whole number",
        ),
        ("training.seed=true", "training.seed: true is not accepted; give a whole number at least 0"),
        ("training.optim=adam", 'training.optim: "adam" is not accepted; give one of adamw, adafactor, sgd'),
        ("training.lr_scheduler_type=step", "give one of constant, linear, cosine"),
        ("training.bf16=1", "training.bf16: 1 is not accepted; give true or false or null"),
        ("training.epochs=3", "training.epochs: unknown key; did you mean num_train_epochs?"),
        ("training.learning_rat=3", "training.learning_rat: unknown key; did you mean learning_rate?"),
        ("learning_rate=3", "learning_rate: unknown key; did you mean training.learning_rate?"),
        ("data.lable=x", "data.lable: unknown key; did you mean label?"),
        ("data.test=1.5", "data.test: 1.5 is not accepted; give a number above 0, below 1 or text"),
        ("data.validation=0", "data.validation: 0 is not accepted"),
        ("task=clustering", 'task: "clustering" is not accepted; give one of text-classification, multi-label'),
        ("training=3", "training: 3 is not accepted; give a mapping with learning_rate"),
        ("training.eval_strategy=steps", "training.eval_steps: goes with training.eval_strategy: steps"),
        ("training.eval_steps=5", "training.eval_steps: goes with training.eval_strategy: steps"),
        ("training.momentum=0.9", "training.momentum: belongs to training.optim: sgd"),
        ("data.config_name=x", "belong to data.dataset"),
        ("data.dataset=a/b", None),
    ],
)
def test_bad_values(tmp_path: Path, override: str, expected: str | None) -> None:
    """A wrong value's message names the key, the value and what is accepted."""
    if expected is None:
        load_recipe(write(tmp_path, MINIMAL), [override])
    else:
        assert expected in message(tmp_path, MINIMAL, override)


def test_all_problems_at_once(tmp_path: Path) -> None:
    """Every problem of a recipe is listed, not the first one only."""
    text = MINIMAL + "lr: 3\nmodel_head: mean\ntraining: {optim: adam, seed: -1}\n"
    found = message(tmp_path, text)
    assert "4 problems" in found
    assert all(key in found for key in ("lr:", "model_head:", "training.optim:", "training.seed:"))


def test_missing_keys(tmp_path: Path) -> None:
    """A key that must be there is named, with what it takes."""
    found = message(tmp_path, "data: {train: a.csv}\n")
    assert "task: missing; give one of text-classification" in found
    assert "data.test: missing; give a number above 0, below 1 or text" in found
    assert "data.train: missing" in message(tmp_path, "task: text-classification\ndata: {test: 0.2}\n")


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", "holds nothing; a recipe is a mapping"),
        (b"- a\n- b\n", "holds a list; a recipe is a mapping"),
        (b"just words", "holds only 'just words'"),
        (b"task: [unclosed", "not valid YAML"),
        (b"task: a\ntask: b\n", "key 'task' is written twice (line 1"),
        (b"task: caf\xe9\n", "not UTF-8 at byte 9"),
        (b"task: !!python/object/apply:os.getcwd []\n", "not valid YAML"),
    ],
)
def test_unreadable(tmp_path: Path, content: bytes, expected: str) -> None:
    """A file that holds no recipe is refused in words, and nothing in it is ever run."""
    path = tmp_path / "recipe.yaml"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"recipe\.yaml") as caught:
        load_recipe(path)
    assert expected in str(caught.value)


def test_no_file(tmp_path: Path) -> None:
    """A missing recipe and a folder in its place are told apart."""
    with pytest.raises(InputError, match="there is no such recipe"):
        load_recipe(tmp_path / "absent.yaml")
    with pytest.raises(InputError, match="is a folder"):
        load_recipe(tmp_path)


@pytest.mark.parametrize("override", ["training.seed", "=3", "training..seed=3", "a" + ".a" * 5000 + "=3"])
def test_bad_override(tmp_path: Path, override: str) -> None:
    """An override that is no key=value says how one is written."""
    assert "write key=value" in message(tmp_path, MINIMAL, override)


@pytest.mark.parametrize("name", ["quickstart", "banking77"])
def test_bundled(name: str) -> None:
    """The recipes that come with the project load."""
    recipe = load_recipe(ROOT / "recipes" / f"{name}.yaml")
    assert recipe.model == DEFAULT_MODEL


BOMB = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{name}: &{name} [{', '.join(['*' + before] * 9)}]\n" for before, name in itertools.pairwise("abcdefghi")
)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (BOMB, "recipe.yaml: not valid YAML: aliases (*) are not accepted, write the value again (line 2, column 8)"),
        ("task: &a [*a]", "aliases (*) are not accepted"),
        ("base: &b {a: 1}\ntraining: {<<: *b}", "aliases (*) are not accepted"),
        ("[" * 100_000, "nested more than 20 deep"),
        ("a: " * 50_000, "not valid YAML"),
        ("- " * 100_000, "nested more than 20 deep"),
        ("? " * 100_000, "nested more than 20 deep"),
        ("training: {seed: " + "9" * 5000 + "}", "not valid YAML: Exceeds the limit"),
        ("training: {seed: 2026-13-45}", "not valid YAML: month must be in 1..12"),
        ("task: a\ntask: b", "key 'task' is written twice"),
        ("? [task]\n: a", "found unhashable key"),
        ("? {task: a}\n: a", "found unhashable key"),
        ("task: !!python/object/apply:os.system [exit]", "could not determine a constructor"),
        ("task: !!binary x", "failed to decode base64 data"),
        ("task: \0", "not valid YAML"),
        ("x" * (2**18 + 1), "cannot be read: more than 262,144 bytes"),
    ],
    ids=range(16),
)
def test_hostile(tmp_path: Path, text: str, said: str) -> None:
    """No recipe takes long or ends in a traceback, whatever it holds."""
    assert said in message(tmp_path, text)
    if len(text) < 10_000:
        assert "not valid YAML" in message(tmp_path, MINIMAL, f"data.train={text}")


def test_a_recipe_that_is_a_pipe(tmp_path: Path) -> None:
    """It is not waited for."""
    os.mkfifo(tmp_path / "recipe.yaml")
    with pytest.raises(
        InputError, match=r"recipe\.yaml: cannot be read: not a regular file; give the path of a recipe"
    ):
        load_recipe(tmp_path / "recipe.yaml")


@pytest.mark.parametrize("number", [".inf", "-.inf", ".nan"])
@pytest.mark.parametrize("key", ["training.learning_rate", "training.weight_decay", "export.max_value_change"])
def test_no_number(tmp_path: Path, key: str, number: str) -> None:
    """What is no finite number is refused: as a bound of the proof it would hold nothing."""
    assert f"{key}: " in message(tmp_path, MINIMAL.replace("text-classification", "regression"), f"{key}={number}")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("seed: 0x" + "f" * 10**4, "a whole number has at most 64 bits"),
        ("seed: " + ":".join(["59"] * 2000), "a whole number has at most 64 bits"),
        (MINIMAL.replace("a.csv", '"a\\0.csv"'), "data.train: 'a\\x00.csv' holds a NUL"),
        (MINIMAL.replace("a.csv", '"\\ud800"'), "data.train: '\\ud800' holds a NUL or half"),
        (MINIMAL + '"\\ud800": 1', "the recipe: '\\ud800' holds a NUL or half"),
        (MINIMAL.replace("a.csv", "x" * 300 + ".csv"), "is longer than the name of a file can be"),
        (MINIMAL + "model: " + "a/" * 3000, "is longer than the name of a file can be"),
        (MINIMAL + "7: 1", "the recipe: 7 is not accepted"),
        (MINIMAL + "training: {yes: 1}", "training"),
    ],
    ids=range(9),
)
def test_values_that_no_file_takes(tmp_path: Path, text: str, said: str) -> None:
    """Nor does a number of very many digits, or a name that no file can have."""
    assert said in message(tmp_path, text)
