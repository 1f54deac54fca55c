"""The predictor: the same answers whatever the company, in the order asked, and only where they are as proven."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tokenizers import Tokenizer

from serving.bundle import Bundle, TokenizerSpec
from serving.errors import BundleError, InputError
from serving.predictor import TOKENS_PER_BATCH, Inputs, Predictor, _rectangle
from serving.tasks.text_classification import Logits, Parameters
from tests.bundles import forge, golden_with

Change = Callable[[dict[str, Any]], None]


def labels_of(predictor: Predictor, texts: Sequence[str]) -> list[str]:
    """The best label of each text."""
    return [answer[0]["label"] for answer in predictor.predict(texts)]


def watch(predictor: Predictor, monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, ...]]:
    """The shapes in which the graph is called from now on."""
    shapes: list[tuple[int, ...]] = []
    run = predictor._run

    def recording(inputs: Inputs) -> Logits:
        shapes.append(inputs["input_ids"].shape)
        return run(inputs)

    monkeypatch.setattr(predictor, "_run", recording)
    return shapes


def test_token_ids(predictor: Predictor, tiny_bundle: Path, texts: list[str]) -> None:
    """Token ids are those of the `tokenizers` library alone, truncated to the bundle's max_length."""
    alone = Tokenizer.from_file(str(tiny_bundle / "tokenizer.json"))
    alone.enable_truncation(predictor.manifest.tokenizer.max_length)
    encodings = predictor.encode(texts)
    assert [encoding.ids for encoding in encodings] == [alone.encode(text).ids for text in texts]
    assert max(len(encoding.ids) for encoding in encodings) == predictor.manifest.tokenizer.max_length


def test_unpadded(tiny_bundle: Path, tmp_path: Path) -> None:
    """Encodings are not padded and truncated by the manifest alone, whatever the tokenizer file asks for."""
    tokenizer = Tokenizer.from_file(str(tiny_bundle / "tokenizer.json"))
    tokenizer.enable_padding(length=12)
    tokenizer.enable_truncation(4)
    files = {"tokenizer.json": tokenizer.to_str().encode()}
    predictor = Predictor.open(forge(tiny_bundle, tmp_path / "forged", files=files))
    plain = Predictor.open(tiny_bundle)
    texts = ["stop", "please cancel my parcel today"]
    assert [each.ids for each in predictor.encode(texts)] == [each.ids for each in plain.encode(texts)]


@pytest.mark.parametrize("name", ["predictor", "int8_predictor"])
def test_order(request: pytest.FixtureRequest, texts: list[str], name: str) -> None:
    """Answers come in the order of the texts, though rows of like length share a batch."""
    predictor: Predictor = request.getfixturevalue(name)
    assert labels_of(predictor, texts) == [labels_of(predictor, [text])[0] for text in texts]
    backwards = predictor.predict(texts[::-1])
    assert [answer[0]["label"] for answer in backwards[::-1]] == labels_of(predictor, texts)


def test_neighbours(predictor: Predictor, texts: list[str]) -> None:
    """In fp32 a text's logits are the same alone, beside others and padded, within rounding."""
    encodings = predictor.encode(texts)
    alone = np.stack([predictor.logits([encoding])[0] for encoding in encodings])
    together = predictor.logits(encodings)
    assert together.shape == (len(texts), len(predictor.manifest.labels))
    assert together.dtype == np.float32
    np.testing.assert_allclose(together, alone, rtol=0, atol=1e-5)
    assert (together.argmax(axis=1) == alone.argmax(axis=1)).all()


def test_neighbours_int8(int8_predictor: Predictor, texts: list[str]) -> None:
    """In int8 a text's logits are the same to the last bit: nobody's answer depends on somebody else's text."""
    encodings = int8_predictor.encode(texts)
    alone = np.stack([int8_predictor.logits([encoding])[0] for encoding in encodings])
    assert int8_predictor.logits(encodings).tobytes() == alone.tobytes()


def test_int8_rows_run_alone(int8_predictor: Predictor, texts: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """A graph that is not row-independent gets one unpadded row at a time."""
    shapes = watch(int8_predictor, monkeypatch)
    encodings = int8_predictor.encode(texts)
    int8_predictor.logits(encodings)
    assert shapes == [(1, len(encoding.ids)) for encoding in encodings]


def test_batches(predictor: Predictor, texts: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """A row-independent graph gets rows of like length together, within the budget of padded tokens."""
    shapes = watch(predictor, monkeypatch)
    predictor.predict(texts * 8)
    assert sum(rows for rows, _ in shapes) == 8 * len(texts)
    assert len(shapes) < len(texts)
    assert all(rows * longest <= TOKENS_PER_BATCH for rows, longest in shapes)
    assert [longest for _, longest in shapes] == sorted(longest for _, longest in shapes)


def test_nothing_to_answer(predictor: Predictor) -> None:
    """No texts give no answers."""
    assert predictor.predict([]) == []
    assert predictor.logits([]).shape == (0, len(predictor.manifest.labels))


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
    (answer,) = predictor.predict(["track this thing"], Parameters(top_k=1, function_to_apply="none"))
    assert len(answer) == 1
    assert answer[0]["score"] == pytest.approx(predictor.logits(predictor.encode(["track this thing"])).max())


def test_bad_text(predictor: Predictor) -> None:
    """A text that cannot be answered is named by its place."""
    with pytest.raises(InputError, match=r"inputs\[1\] is empty"):
        predictor.predict(["fine", "  "])


@pytest.mark.parametrize(
    ("side", "expected"),
    [("right", [[1, 2, 3], [4, 9, 9]]), ("left", [[1, 2, 3], [9, 9, 4]])],
)
def test_padding_side(side: str, expected: list[list[int]]) -> None:
    """Rows are filled up to the longest on the side that the tokenizer pads."""
    spec = TokenizerSpec.model_validate(
        {"file": "t", "max_length": 8, "pad_token_id": 9, "pad_token_type_id": 0, "padding_side": side}
    )
    rectangle = _rectangle([[1, 2, 3], [4]], 9, spec)
    assert rectangle.tolist() == expected
    assert rectangle.dtype == np.int64


def test_left_padding(tiny_bundle: Path, tmp_path: Path, predictor: Predictor) -> None:
    """A bundle that pads on the left pads ids, mask and type ids on the left alike."""
    left = Predictor(
        Bundle.open(forge(tiny_bundle, tmp_path / "left", tokenizer={"padding_side": "left", "pad_token_id": 3}))
    )
    inputs = left._pad(left.encode(["stop", "please cancel my parcel"]))
    mask = inputs["attention_mask"]
    assert mask[0].tolist() == sorted(mask[0].tolist())
    assert mask[0, 0] == 0
    assert (inputs["input_ids"][mask == 0] == 3).all()
    assert list(inputs) == left.manifest.graph.inputs == predictor.manifest.graph.inputs


@pytest.mark.parametrize("name", ["tiny_bundle", "tiny_int8_bundle"])
@pytest.mark.parametrize("threads", [1, 2])
def test_golden(request: pytest.FixtureRequest, name: str, threads: int) -> None:
    """The golden answers hold on the machine that made them, on one thread and on two."""
    predictor = Predictor(Bundle.open(request.getfixturevalue(name)), threads=threads)
    assert 0 <= predictor.replay_golden() <= predictor.manifest.golden.tolerance


def other_label(row: dict[str, Any]) -> None:
    """Record another best label."""
    row["outputs"].reverse()


def other_logit(row: dict[str, Any]) -> None:
    """Record a logit that is a little further off than fp32 may be."""
    row["logits"][0] += 2e-4


def no_logit(row: dict[str, Any]) -> None:
    """Record a logit that is no number."""
    row["logits"][0] = float("nan")


def other_id(row: dict[str, Any]) -> None:
    """Record another token."""
    row["input_ids"][1] += 1


def fewer_ids(row: dict[str, Any]) -> None:
    """Record one token less."""
    row["input_ids"].pop()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (other_label, "this machine answers '.*' with a logit .* off the recorded answer"),
        (other_logit, r"with a logit 0\.0002 off the recorded answer .*accepted: 0\.0001"),
        (no_logit, "with a logit nan off"),
        (other_id, "token ids differ"),
        (fewer_ids, "token ids differ"),
    ],
)
def test_golden_bites(tiny_bundle: Path, tmp_path: Path, change: Change, message: str) -> None:
    """A machine that answers otherwise than recorded is refused, and the message names the row and what differs."""
    forged = forge(tiny_bundle, tmp_path / "forged", files={"golden.jsonl": golden_with(tiny_bundle, change)})
    with pytest.raises(BundleError, match=rf"golden\.jsonl, row 1 \('.*{message}"):
        Predictor.open(forged)


def test_golden_other_graph(tiny_bundle: Path, tiny_int8_bundle: Path, tmp_path: Path) -> None:
    """A graph put in another's place, all hashes right, is found by its answers."""
    forged = forge(
        tiny_bundle, tmp_path / "forged", files={"model.onnx": (tiny_int8_bundle / "model.onnx").read_bytes()}
    )
    with pytest.raises(BundleError, match="this machine answers"):
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
