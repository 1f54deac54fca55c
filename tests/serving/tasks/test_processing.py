"""Code around a model: texts before it, answers after it, and nothing else than what was proven."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from serving.bundle.manifest import Limits
from serving.errors import BundleError, InputError
from serving.tasks.base import Encoded
from serving.tasks.feature_extraction import FeatureExtraction, FeatureExtractionSettings
from serving.tasks.processing import AnswerRefused, Step, load_step
from serving.tasks.regression import Regression, RegressionSettings
from serving.tasks.text_classification import (
    TextClassification,
    TextClassificationParameters,
    TextClassificationSettings,
)
from tests.extending import work_in, write_local

CODE = """
def lower(text):
    if "%" in text:
        raise ValueError("a percent sign")
    return text.lower().replace("hello", "")

def as_number(text):
    return 7

def stars(answer, text):
    return [{{**answer[0], "score": min(5.0, max(1.0, answer[0]["score"]))}}]

def last_first(answer, text):
    assert text == "what was read"
    return answer[::-1]

def broken(answer, text):
    return {result}
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with some code."""
    folder = work_in(monkeypatch, tmp_path)
    write(folder)
    load_step.cache_clear()
    return folder


def write(folder: Path, result: str = "answer") -> None:
    """The code, and its names."""
    module = write_local(folder, CODE.format(result=result))
    lines = [f'{kind}.{name} = "{module}:{name}"' for kind, names in {
        "preprocessors": ("lower", "as_number"), "postprocessors": ("stars", "last_first", "broken")}.items()
        for name in names]  # fmt: skip
    (folder / "tuneship.toml").write_text("\n".join(["[extensions]", *lines]))


def classes(*after: str, before: tuple[str, ...] = (), **settings: Any) -> TextClassification:
    """A task of three labels with some processing."""
    steps = {"preprocess": tuple(Step.of("preprocessors", name) for name in before)}
    steps |= {"postprocess": tuple(Step.of("postprocessors", name) for name in after)}
    return TextClassification(["a", "b", "c"], TextClassificationSettings(**steps, **settings), Limits())


def logits(*values: float) -> list[Any]:
    """Of one window."""
    return [np.array(values, dtype=np.float32)]


READ = Encoded("what was read", [])


def test_texts(folder: Path) -> None:
    """Each text of an input is changed, after personal data is replaced; refusals name the field."""
    task = classes(before=("lower",), pair=True, redact=("email",), redaction=1)
    assert task.check({"text": "Ask A@B.de", "text_pair": "TWO"}) == ("ask [email]", "two")
    with pytest.raises(
        InputError, match=r"preprocessors\.lower refuses the text: ValueError: a percent sign"
    ) as refused:
        task.check({"text": "one", "text_pair": "50 %"}, "inputs[3]")
    assert refused.value.field == "inputs[3].text_pair"
    with pytest.raises(InputError, match="leaves '' of the text; a text is needed"):
        task.check({"text": "Hello", "text_pair": "x"})
    with pytest.raises(InputError, match="leaves 7 of the text"):
        classes(before=("as_number",)).check("one")
    steps = (Step.of("preprocessors", "lower"),)
    vectors = FeatureExtraction([], FeatureExtractionSettings(dimensions=2, preprocess=steps), Limits())
    assert vectors.check("ONE") == "one"


def test_answers(folder: Path) -> None:
    """Of one right label it sees all of them, however few are asked for; the plain answer stays what it was."""
    task, values = classes("last_first"), logits(3, 2, 1)
    top_one = TextClassificationParameters(top_k=1)
    assert [each["label"] for each in task.answer(READ, values, top_one)] == ["c"]
    assert [each["label"] for each in task.answer(READ, values)] == ["c", "b", "a"]
    assert [each["label"] for each in task.decode(READ, values, top_one)] == ["a"]
    steps = (Step.of("postprocessors", "stars"),)
    number = Regression(["stars"], RegressionSettings(postprocess=steps), Limits())
    assert number.answer(READ, logits(9.0)) == [{"label": "stars", "score": 5.0}]


def test_one_after_the_other(folder: Path) -> None:
    """In the order of the settings."""
    assert [each["label"] for each in classes("last_first", "last_first").answer(READ, logits(3, 2, 1))] == [
        "a",
        "b",
        "c",
    ]


@pytest.mark.parametrize(
    ("result", "problem"),
    [
        ("[{'label': 'd', 'score': 1}]", "is 'd', and none of a, b, c"),
        ("[{'label': 'a', 'score': float('nan')}]", "ValueError: Out of range float values"),
        ("answer[0]", "and no array"),
        ("[{**answer[0], 'why': 'so'}]", "has 'why', which is none of label, score"),
        ("answer[99]", "IndexError"),
        ("[{'label': 'a', 'score': object()}]", "TypeError: Object of type object"),
    ],
)
def test_what_is_no_answer(folder: Path, result: str, problem: str) -> None:
    """Nobody gets it: it is an error of the bundle's owner, and says whose code gave it."""
    write(folder, result)
    with pytest.raises(AnswerRefused, match=rf"postprocessors\.broken of tuneship\.toml .*{problem}"):
        classes("broken").answer(READ, logits(3, 2, 1))


def test_code_that_has_changed(folder: Path) -> None:
    """A hash that is not the proven one, and a name that nothing registers, are refused with what was proven."""
    task = classes("stars")
    write(folder, "None")
    load_step.cache_clear()
    with pytest.raises(BundleError, match=r"its source has the sha256 .* proven with .* of tuneship\.toml"):
        task.load_extensions()
    (folder / "tuneship.toml").unlink()
    with pytest.raises(BundleError, match=r"postprocessors\.stars of tuneship\.toml is needed here\. "):
        classes_again(task).load_extensions()


def classes_again(task: TextClassification) -> TextClassification:
    """The same, as another process would have it."""
    return TextClassification(task.labels, task.settings, Limits())


def test_plain_settings_are_as_before(folder: Path) -> None:
    """A bundle without processing has no word of it."""
    assert not {"preprocess", "postprocess"} & TextClassificationSettings().model_dump().keys()
