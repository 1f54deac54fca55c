"""A variant of the user's own: it has all of its promises, or it is none."""

from __future__ import annotations

from pathlib import Path

import pytest

from export.variants.calibration import Calibration
from export.variants.registry import variant_named
from serving.errors import InputError
from tests.extending import work_in, write_local

COPY = """
import shutil
from export.variants.own_variant import OwnVariant

def build(source, target, calibration):
    {body}

mine = OwnVariant(about="a copy", build=build, exact={exact}, row_independent=True,
                  golden_tolerance={tolerance}, depends_on={depends_on})
"""
PLAIN = {"body": "shutil.copy(source, target)", "exact": True, "tolerance": 1e-4, "depends_on": ()}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory."""
    return work_in(monkeypatch, tmp_path)


def build(folder: Path, **changes: object) -> object:
    """Open the variant ``mine`` and have it write a graph; returns its facts."""
    write_local(folder, COPY.format(**PLAIN | changes), variants="mine")
    (folder / "source.onnx").write_bytes(b"graph")
    (folder / "target.onnx").unlink(missing_ok=True)
    calibration = Calibration(list, lambda: pytest.fail("nothing is fitted"))
    return variant_named("mine").build(folder / "source.onnx", folder / "target.onnx", calibration)


def test_its_promises(folder: Path) -> None:
    """The proof gets them as of any other variant, and the manifest the extension."""
    assert build(folder) == {}
    variant = variant_named("mine")
    assert (variant.name, variant.exact, variant.row_independent, variant.golden_tolerance) == (
        "mine",
        True,
        True,
        1e-4,
    )
    assert variant.extension is not None
    assert variant.extension.key == "variants.mine"
    assert (folder / "target.onnx").read_bytes() == b"graph"


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"body": "raise RuntimeError('a node')"}, r"cannot write target\.onnx: RuntimeError: a node"),
        ({"body": "pass"}, r"build wrote no target\.onnx"),
        ({"tolerance": 0}, "golden_tolerance is 0; a number above 0 is needed"),
        ({"depends_on": ("avx",)}, "depends_on has 'avx'; accepted are: int8-dot-product"),
        ({"exact": "True, generates=False, speed=2"}, "cannot be imported: TypeError"),
    ],
)
def test_what_is_no_variant(folder: Path, changes: dict[str, object], problem: str) -> None:
    """The message has its name, and what is wrong."""
    with pytest.raises(InputError, match=rf"variants\.mine of tuneship\.toml .*{problem}"):
        build(folder, **changes)


def test_promises_have_no_defaults(folder: Path) -> None:
    """Who leaves one out is told, as nobody else can know it."""
    write_local(folder, "def mine(source, target, calibration): return {}\n", variants="mine")
    with pytest.raises(InputError, match="is no OwnVariant; make one of export"):
        variant_named("mine")
    build(folder)
    with pytest.raises(InputError, match="is not for generating models"):
        variant_named("mine", generates=True)


def test_unknown_names(folder: Path) -> None:
    """Tuneship's own names and the user's are listed."""
    write_local(folder, COPY.format(**PLAIN), variants="mine")
    with pytest.raises(InputError, match=r"there is no variant 'main'; accepted are: fp32, .*auto, mine"):
        variant_named("main")
