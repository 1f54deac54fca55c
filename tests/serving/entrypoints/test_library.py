"""A bundle's answers in a program: those of the server, from threads and event loops, until the predictor is closed."""

from __future__ import annotations

import asyncio
import json
import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from serving import Predictor
from serving.entrypoints.library import INPUTS_AT_ONCE, Closed
from serving.errors import BundleError, InputError
from tests.bundles import forge, golden_with
from tests.paths import ROOT
from tests.serving.processes import environment, python

TEXT = "where is my parcel?"


@pytest.fixture(scope="module")
def opened(tiny_bundle: Path) -> Iterator[Predictor]:
    """A predictor that all of these tests share."""
    with Predictor.open(tiny_bundle, threads=1) as predictor:
        yield predictor


def test_one_and_several(opened: Predictor) -> None:
    """One input has one answer; a list, a tuple or any other iterable has a list, in its order."""
    one = opened.predict(TEXT)
    assert one[0]["label"] == "track"
    for several in ([TEXT, "refund my parcel"], (TEXT, "refund my parcel"), iter([TEXT, "refund my parcel"])):
        answers = opened.predict(several)
        assert [answer[0]["label"] for answer in answers] == ["track", "refund"]
        assert answers[0] == [pytest.approx(each) for each in one]
    assert opened.predict([]) == []


def test_the_servers_answers(opened: Predictor, client: TestClient, texts: list[str]) -> None:
    """What a program gets is what /predict answers to the same inputs and parameters."""
    body = client.post("/predict", json={"inputs": texts, "parameters": {"top_k": 2}}).json()
    own = opened.predict(texts, top_k=2)
    labels = [[each["label"] for each in answer] for answer in own]
    assert labels == [[each["label"] for each in answer] for answer in body]
    scores = [each["score"] for answer in own for each in answer]
    assert scores == pytest.approx([each["score"] for answer in body for each in answer], abs=1e-5)
    assert json.loads(json.dumps(own)) == own  # plain Python values


@pytest.mark.slow
@pytest.mark.parametrize(
    ("toy", "inputs"),
    [
        ("text pairs", {"text": TEXT, "text_pair": "cancel order 17"}),
        ("question-answering", {"question": "where is Ada?", "context": "Ada lives in Oslo."}),
        ("token-classification", "Ada lives in Oslo ."),
        ("feature-extraction", TEXT),
        ("text2text-generation", TEXT),
    ],
)
def test_every_kind_of_input(toy: str, inputs: Any, task_bundle: Callable[[str], Path]) -> None:
    """Objects and texts alike: alone they have the answer that they have in a list."""
    with Predictor.open(task_bundle(toy), threads=1) as predictor:
        assert predictor.predict(inputs) == predictor.predict([inputs])[0]
        assert predictor.task in toy or toy == "text pairs"


def test_refusals_name_the_part(opened: Predictor) -> None:
    """A wrong input or option is an InputError with the place in the caller's own list; nothing is answered then."""
    with pytest.raises(InputError, match=r"inputs\[1\]") as refused:
        opened.predict([TEXT, ""])
    assert refused.value.field == "inputs[1]"
    late = [TEXT] * (INPUTS_AT_ONCE + 1)
    with pytest.raises(InputError, match=rf"inputs\[{INPUTS_AT_ONCE + 1}\]"):
        opened.predict([*late, "\0" * 10, 7])
    with pytest.raises(InputError, match=r"top_q.*accepted parameters: .*top_k"):
        opened.predict(TEXT, top_q=1)
    with pytest.raises(InputError, match="inputs is a number; a text, a mapping, or an iterable"):
        opened.predict(7)


def test_more_inputs_than_a_request_may_have(opened: Predictor) -> None:
    """The limits of a request are a server's: a program may ask as much as it likes at once."""
    count = INPUTS_AT_ONCE + 3
    assert count > opened.manifest.limits.max_inputs
    answers = opened.predict([TEXT, "refund my parcel"] * (count // 2 + 1), top_k=1)
    assert {tuple(each["label"] for each in answer) for answer in answers[::2]} == {("track",)}
    assert {tuple(each["label"] for each in answer) for answer in answers[1::2]} == {("refund",)}


@pytest.mark.slow
def test_threads_share_it(opened: Predictor, texts: list[str]) -> None:
    """Calls from many threads have the answers that they have one after the other."""
    expected = [opened.predict(text) for text in texts]
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(opened.predict, texts * 5)) == expected * 5


def test_an_event_loop_goes_on(opened: Predictor) -> None:
    """While a list is answered, the loop runs other coroutines."""

    async def ask() -> tuple[Any, int]:
        answers = asyncio.ensure_future(opened.predict_async([TEXT] * 500, top_k=1))
        turns = 0
        while not answers.done():
            await asyncio.sleep(0)
            turns += 1
        return await answers, turns

    answers, turns = asyncio.run(ask())
    assert len(answers) == 500
    assert turns > 1


def test_what_it_tells(opened: Predictor) -> None:
    """Its task, labels, options and variant are those of the bundle."""
    assert (opened.task, opened.variant, opened.warnings) == ("text-classification", "fp32", [])
    assert opened.labels == ["cancel", "refund", "track"]
    assert {"top_k", "truncate"} <= opened.options.keys()
    assert repr(opened) == f"<Predictor {opened.manifest.name}: text-classification, 3 labels, fp32>"
    assert opened.replay_golden() <= opened.manifest.golden.tolerance


def test_closed(tiny_bundle: Path) -> None:
    """A closed predictor tells so, and can be closed again."""
    with Predictor.open(str(tiny_bundle)) as predictor:
        assert predictor.predict(TEXT)
    predictor.close()
    assert predictor.task == "text-classification"
    with pytest.raises(Closed, match="open the bundle again"):
        predictor.predict(TEXT)


def test_golden_answers_are_repeated_unless_told_otherwise(tiny_bundle: Path, tmp_path: Path) -> None:
    """A bundle that answers otherwise than recorded does not open; without the check, its files alone are checked."""

    def change(row: dict[str, Any]) -> None:
        row["outputs"].reverse()

    forged = forge(tiny_bundle, tmp_path / "forged", files={"golden.jsonl": golden_with(tiny_bundle, change)})
    with pytest.raises(BundleError, match="not the recorded one"):
        Predictor.open(forged)
    predictor = Predictor.open(forged, golden_check=False)
    assert predictor.predict(TEXT)[0]["label"] == "track"
    with pytest.raises(BundleError, match="not the recorded one"):
        predictor.replay_golden()
    (forged / "model.onnx").write_bytes(b"altered")
    with pytest.raises(BundleError, match="was altered"):
        Predictor.open(forged, golden_check=False)


@pytest.mark.slow
def test_naming_the_packages_loads_nothing() -> None:
    """`import serving, trainer, export` loads neither onnxruntime nor torch; naming a function does."""
    script = (
        "import sys, serving, trainer, export\n"
        "heavy = {'torch', 'transformers', 'onnxruntime', 'numpy', 'pydantic', 'rich'}\n"
        "print(sorted(heavy & set(sys.modules)))\n"
        "from serving import Predictor\n"
        "print('onnxruntime' in sys.modules, 'torch' in sys.modules, 'starlette' in sys.modules)\n"
        "try: serving.Predicter\n"
        "except AttributeError as error: print(error)\n"
    )
    command = python("-c", script)
    result = subprocess.run(
        command, cwd=ROOT, env=environment(), capture_output=True, text=True, timeout=60, check=True
    )
    assert result.stdout.splitlines() == [
        "[]",
        "True False False",
        "module 'serving' has no attribute 'Predicter'",
    ]
