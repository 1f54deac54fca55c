"""`tuneship push`, `pull`, and the commands that take a target in place of a folder."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.bundles import manifest_of
from tests.stores.hub import Hub
from tests.test_cli import assert_refused, tuneship_here


@pytest.mark.slow
def test_push_and_pull(tiny_bundle: Path, tmp_path: Path, hub: Hub) -> None:
    """`push` prints the target with its digest, which `pull` takes."""
    pushed = tuneship_here("push", tiny_bundle, "hf:team/one")
    assert pushed.returncode == 0, pushed.stderr
    digest = manifest_of(tiny_bundle).digest
    target = re.fullmatch(r"pushed  (\S+)\n", pushed.stdout)
    assert target is not None
    assert target[1] == f"hf:team/one#sha256={digest}"
    pulled = tuneship_here("pull", target[1], "--output", tmp_path / "out")
    assert pulled.stdout == f"pulled  {tmp_path / 'out'}  sha256 {digest}\n"


def test_refusals(tiny_bundle: Path, tmp_path: Path, memory: dict[str, object]) -> None:
    """A message, no traceback, nothing half-written."""
    assert_refused(tuneship_here("pull", "nowhere", "-o", tmp_path / "out"), "no place to keep a model", "oci:")
    assert_refused(tuneship_here("push", tmp_path / "none", "memory://a"), "there is no folder")
    assert_refused(tuneship_here("pull", "memory://a", "-o", tmp_path / "out"), "memory://a: ", "no manifest.json")
    assert_refused(tuneship_here("verify", "memory://a"), "memory://a: ", "no manifest.json")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_commands_take_a_target(tiny_bundle: Path, tmp_path: Path, memory: dict[str, object]) -> None:
    """`verify`, `card`, `predict` and `explain` pull it to the cache."""
    tuneship_here("push", tiny_bundle, "memory://a")
    (tmp_path / "in.jsonl").write_text('{"inputs": "where is my parcel?"}\n')
    files = ("--input", tmp_path / "in.jsonl", "--output", tmp_path / "out.jsonl")
    for command in (("verify",), ("card",), ("predict", *files), ("explain", "stop it")):
        result = tuneship_here(command[0], "memory://a", *command[1:])
        assert result.returncode == 0, result.stderr
        assert result.stdout == tuneship_here(command[0], tiny_bundle, *command[1:]).stdout


def test_where_only_a_path_can_be(tiny_bundle: Path, tmp_path: Path) -> None:
    """A target in place of a run or an --output is refused, rather than made a folder named s3:."""
    recipe = tmp_path / "recipe.yaml"
    for command in (
        ("export", "s3://bucket/run", "-o", tmp_path / "out"),
        ("train", recipe, "-o", "s3://bucket/run"),
        ("pull", "memory://a", "-o", "memory://b"),
        ("sign", "hf:team/one"),
        ("push", "s3://bucket/one", "memory://b"),
    ):
        assert_refused(tuneship_here(*command), "a path of this machine is needed here")
