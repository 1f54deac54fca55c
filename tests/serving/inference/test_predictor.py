"""The predictor: the same answers whatever the company, in the order asked, and only where they are as proven."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tokenizers import Encoding, Tokenizer

from serving.bundle.bundle import Bundle
from serving.errors import BundleError, InputError
from serving.inference.predictor import Predictor
from serving.tasks.text_classification import TextClassificationParameters
from tests.bundles import forge, golden_with

Change = Callable[[dict[str, Any]], None]


class Overflowing(Predictor):
    """Its graph gives no number for the last label."""

    def run(self, windows: Sequence[Any]) -> list[Any]:
        """The logits, the last of them lost."""
        return [np.append(logits[:-1], np.float32("nan")) for logits in super().run(windows)]

    def run_batch(self, windows: Sequence[Any], length: int = 0) -> list[Any]:
        """The same."""
        return self.run(windows)


def labels_of(predictor: Predictor, texts: Sequence[str]) -> list[str]:
    """The best label of each text."""
    return [answer[0]["label"] for answer in predictor.predict(texts)]


def windows_of(predictor: Predictor, texts: Sequence[str]) -> list[Encoding]:
    """The texts tokenised, each one window."""
    return [window for each in predictor.encode(texts) for window in each.windows]


def test_token_ids(predictor: Predictor, tiny_bundle: Path, texts: list[str]) -> None:
    """Token ids are those of the `tokenizers` library alone, truncated to the bundle's max_length."""
    alone = Tokenizer.from_file(str(tiny_bundle / "tokenizer.json"))
    alone.enable_truncation(predictor.manifest.tokenizer.max_length)
    windows = windows_of(predictor, texts)
    assert [window.ids for window in windows] == [alone.encode(text).ids for text in texts]
    assert max(len(window.ids) for window in windows) == predictor.manifest.tokenizer.max_length


def test_unpadded(tiny_bundle: Path, tmp_path: Path) -> None:
    """Encodings are not padded and truncated by the manifest alone, whatever the tokenizer file asks for."""
    tokenizer = Tokenizer.from_file(str(tiny_bundle / "tokenizer.json"))
    tokenizer.enable_padding(length=12)
    tokenizer.enable_truncation(4)
    files = {"tokenizer.json": tokenizer.to_str().encode()}
    predictor = Predictor.open(forge(tiny_bundle, tmp_path / "forged", files=files))
    plain = Predictor.open(tiny_bundle)
    texts = ["stop", "please cancel my parcel today"]
    assert [each.ids for each in windows_of(predictor, texts)] == [each.ids for each in windows_of(plain, texts)]


@pytest.mark.parametrize("name", ["predictor", "int8_predictor"])
def test_order(request: pytest.FixtureRequest, texts: list[str], name: str) -> None:
    """Answers come in the order of the texts, though rows of like length share a batch."""
    predictor: Predictor = request.getfixturevalue(name)
    assert labels_of(predictor, texts) == [labels_of(predictor, [text])[0] for text in texts]
    backwards = predictor.predict(texts[::-1])
    assert [answer[0]["label"] for answer in backwards[::-1]] == labels_of(predictor, texts)


@pytest.mark.parametrize("name", ["predictor", "int8_predictor"])
def test_neighbours(name: str, request: pytest.FixtureRequest, texts: list[str]) -> None:
    """In fp32 and static int8 a text's logits are the same alone, beside others and padded, within rounding."""
    predictor = request.getfixturevalue(name)
    windows = windows_of(predictor, texts)
    alone = np.stack([predictor.run([window])[0] for window in windows])
    together = np.stack(predictor.run(windows))
    assert together.shape == (len(texts), len(predictor.manifest.labels))
    assert together.dtype == np.float32
    np.testing.assert_allclose(together, alone, rtol=0, atol=1e-5)
    assert (together.argmax(axis=1) == alone.argmax(axis=1)).all()


def test_neighbours_dynamic_int8(dynamic_predictor: Predictor, texts: list[str]) -> None:
    """In dynamic int8 a text's logits are the same to the last bit: nobody's answer depends on somebody else's text."""
    windows = windows_of(dynamic_predictor, texts)
    alone = np.stack([dynamic_predictor.run([window])[0] for window in windows])
    assert np.stack(dynamic_predictor.run(windows)).tobytes() == alone.tobytes()


def test_no_number_is_no_answer(tiny_bundle: Path) -> None:
    """A logit that is no number is an error, never a score; the proof sees it as it is."""
    predictor = Overflowing(Bundle.open(tiny_bundle))
    assert np.isnan(predictor.run(windows_of(predictor, ["stop"]))[0]).any()
    with pytest.raises(RuntimeError, match="not a finite number"):
        predictor.predict(["stop"])
    with pytest.raises(RuntimeError, match="not a finite number"):
        predictor.run_batch_finite(windows_of(predictor, ["stop"]))


def test_nothing_to_answer(predictor: Predictor) -> None:
    """No texts give no answers."""
    assert predictor.predict([]) == []
    assert predictor.run([]) == []


def test_answer(predictor: Predictor) -> None:
    """An answer holds every label once, best first, and its scores sum to one."""
    (answer,) = predictor.predict(["where is my parcel?"])
    assert sorted(each["label"] for each in answer) == sorted(predictor.manifest.labels)
    scores = [each["score"] for each in answer]
    assert scores == sorted(scores, reverse=True)
    assert sum(scores) == pytest.approx(1.0)


def test_learned(predictor: Predictor) -> None:
    """The bundle answers as it was trained, not at random."""
    assert labels_of(predictor, ["please cancel order 17", "where is my parcel?"]) == ["cancel", "track"]


def test_parameters(predictor: Predictor) -> None:
    """The caller's parameters reach the decoding."""
    (answer,) = predictor.predict(["track this thing"], TextClassificationParameters(top_k=1, function_to_apply="none"))
    assert len(answer) == 1
    assert answer[0]["score"] == pytest.approx(predictor.run(windows_of(predictor, ["track this thing"]))[0].max())


def test_bad_text(predictor: Predictor) -> None:
    """A text that cannot be answered is named by its place."""
    with pytest.raises(InputError, match=r"inputs\[1\] is empty"):
        predictor.predict(["fine", "  "])


@pytest.mark.parametrize("name", ["tiny_bundle", "tiny_int8_bundle"])
@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("together", [True, False])
def test_golden(request: pytest.FixtureRequest, name: str, threads: int, together: bool) -> None:
    """The golden answers hold on the machine that made them, on one thread and on two, in batches too."""
    predictor = Predictor(Bundle.open(request.getfixturevalue(name)), threads=threads)
    assert 0 <= predictor.replay_golden(together=together) <= predictor.manifest.golden.tolerance


def other_label(row: dict[str, Any]) -> None:
    """Record another best label."""
    row["outputs"].reverse()


def other_logit(row: dict[str, Any]) -> None:
    """Record a logit that is a little further off than fp32 may be."""
    row["logits"][0][0] += 2e-4


def no_logit(row: dict[str, Any]) -> None:
    """Record a logit that is no number."""
    row["logits"][0][0] = float("nan")


def fewer_logits(row: dict[str, Any]) -> None:
    """Record one logit less."""
    row["logits"][0].pop()


def no_window(row: dict[str, Any]) -> None:
    """Record no logits at all."""
    row["logits"] = []


def ragged(row: dict[str, Any]) -> None:
    """Record logits of no shape."""
    row["logits"][0][0] = [1.0, 2.0]


def other_id(row: dict[str, Any]) -> None:
    """Record another token."""
    row["input_ids"][0][1] += 1


def fewer_ids(row: dict[str, Any]) -> None:
    """Record one token less."""
    row["input_ids"][0].pop()


def more_windows(row: dict[str, Any]) -> None:
    """Record a window more than there is."""
    row["input_ids"] *= 2


def no_answer(row: dict[str, Any]) -> None:
    """Record what is no answer of this task."""
    row["outputs"] = []


def no_input(row: dict[str, Any]) -> None:
    """Record what no request could ask."""
    row["inputs"] = {"question": "where?"}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (other_label, "this machine's answer is not the recorded one, with a logit .* off"),
        (other_logit, r"answer is the recorded one, with a logit 0\.0002 off \(accepted: 0\.0001\)"),
        (no_logit, "with a logit nan off"),
        (fewer_logits, "the recorded logits have another shape"),
        (no_window, "the recorded logits have another shape"),
        (ragged, "the recorded logits have another shape"),
        (other_id, "token ids differ"),
        (fewer_ids, "token ids differ"),
        (more_windows, "token ids differ"),
        (no_answer, "is not an answer of text-classification"),
        (no_input, "is not an input of text-classification: inputs must be a text, found an object"),
    ],
)
def test_golden_bites(tiny_bundle: Path, tmp_path: Path, change: Change, message: str) -> None:
    """A machine that answers otherwise than recorded is refused, and the message names the row and what differs."""
    forged = forge(tiny_bundle, tmp_path / "forged", files={"golden.jsonl": golden_with(tiny_bundle, change)})
    with pytest.raises(BundleError, match=rf"golden\.jsonl, row 1 \(.*{message}"):
        Predictor.open(forged)


def test_golden_other_graph(tiny_bundle: Path, tiny_int8_bundle: Path, tmp_path: Path) -> None:
    """A graph put in another's place, all hashes right, is found by its answers."""
    forged = forge(
        tiny_bundle, tmp_path / "forged", files={"model.onnx": (tiny_int8_bundle / "model.onnx").read_bytes()}
    )
    with pytest.raises(BundleError, match="this machine's answer is"):
        Predictor.open(forged)


@pytest.mark.parametrize("kept", [0, 1])
def test_golden_rows_missing(tiny_bundle: Path, tmp_path: Path, kept: int) -> None:
    """A golden file with fewer rows than the manifest tells is refused: no proof is skipped in silence."""
    lines = (tiny_bundle / "golden.jsonl").read_bytes().splitlines(keepends=True)[:kept]
    forged = forge(tiny_bundle, tmp_path / "forged", files={"golden.jsonl": b"".join(lines)})
    with pytest.raises(BundleError, match=rf"golden\.jsonl has {kept} rows"):
        Predictor.open(forged)


@pytest.mark.parametrize("content", [b"junk\n", b"{}\n", b'["inputs"]\n'])
def test_golden_junk(tiny_bundle: Path, tmp_path: Path, content: bytes) -> None:
    """A golden file that does not hold recorded answers is a message, not a traceback."""
    forged = forge(tiny_bundle, tmp_path / "forged", files={"golden.jsonl": content}, golden={"rows": 1})
    with pytest.raises(BundleError, match=r"golden\.jsonl"):
        Predictor.open(forged)
