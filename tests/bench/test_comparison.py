"""Servers are compared within each round."""

from __future__ import annotations

from pathlib import Path

from bench.bare_runtime_process import BareRuntimeProcess
from bench.comparison import compare
from bench.figures import Figure, ServerFigures
from bench.systems import Kind, System


def system(name: str, kind: Kind, variant: str = "int8") -> System:
    """A server that is never started."""
    return System(name, kind, lambda port: [], variant, "/", lambda text: text, lambda answer: str(answer))


OURS = system("tuneship serve, int8", Kind.ours)
FIRST, SECOND = system("FastAPI", Kind.torch, "fp32"), system("LitServe", Kind.torch, "fp32")
ONNX = system("BentoML + onnxruntime, int8", Kind.onnxruntime, "fp32")
RAW, BULK = (BareRuntimeProcess("int8", Path("bundle"), texts) for texts in (32, 512))


def rows(**errors: int) -> dict[str, ServerFigures]:
    """Three rounds of each, the first torch peer best in the first round alone; the peers answer 200 texts each."""
    rates = {
        OURS.name: [600.0, 500.0, 320.0],
        FIRST.name: [100.0, 50.0, 40.0],
        SECOND.name: [90.0, 100.0, 80.0],
        ONNX.name: [200.0, 250.0, 160.0],
        RAW.name: [625.0, 625.0, 400.0],
        BULK.name: [1000.0, 1000.0, 1000.0],
    }
    found = {name: ServerFigures(name, rate=rate, answered=[100, 50, 50]) for name, rate in rates.items()}
    found[OURS.name].errors.update(errors)
    found[ONNX.name].errors["wrong label"] = 5
    return found


def figures(found: dict[str, ServerFigures]) -> dict[str, Figure]:
    """By name."""
    return {each.name: each for each in compare([OURS, FIRST, SECOND, ONNX], [RAW, BULK], found)}


def test_ratios_are_taken_within_a_round() -> None:
    """The figure is the median of the rounds' ratios, and the best torch peer is the best of each round."""
    ratio = figures(rows())["tuneship serve, int8 ÷ best torch peer"]
    assert ratio.samples == (6.0, 5.0, 4.0)
    assert ratio.value == 5.0


def test_each_setting_of_onnxruntime_alone_is_compared() -> None:
    """There is a ratio for as many texts at once as there are connections, and for a bulk job's."""
    found = figures(rows())
    assert found["tuneship serve, int8 ÷ onnxruntime alone, int8, 32 at once"].samples == (0.96, 0.8, 0.8)
    assert found["tuneship serve, int8 ÷ onnxruntime alone, int8, 512 at once"].samples == (0.6, 0.5, 0.32)


def test_a_peer_that_was_left_out() -> None:
    """What was not measured is in no ratio."""
    found = rows()
    del found[ONNX.name], found[SECOND.name]
    names = figures(found)
    assert names["tuneship serve, int8 ÷ best torch peer"].samples == (6.0, 10.0, 8.0)
    assert not any("onnxruntime, int8" in name for name in names)


def test_only_our_wrong_answers_are_errors() -> None:
    """The figure of our wrong answers says what happened; a peer's agreement is in percent."""
    found = figures(rows(status=1))
    assert found["our answers wrong or missing"].value == 1
    assert found["our answers wrong or missing"].is_error
    assert "status" in found["our answers wrong or missing"].note
    assert found["BentoML + onnxruntime, int8: labels as fp32's"].value == 97.5
