"""Data files of a recipe at other places: fetched once a version, recorded by their content."""

from __future__ import annotations

import hashlib
import io
import json
from pathlib import Path

import fsspec
import pytest
from rich.console import Console

from serving.errors import InputError, UserError
from stores.cache import Cache
from stores.data import _fetch, local_file
from tests import tiny
from tests.stores.hub import Hub
from trainer.recipe.recipe import load_recipe
from trainer.replay import replay
from trainer.train import train


@pytest.fixture(autouse=True)
def new_process() -> None:
    """What this process fetched is forgotten."""
    _fetch.cache_clear()


def test_a_path_stays(tmp_path: Path) -> None:
    """A file of this machine is where it is."""
    assert local_file(str(tmp_path / "a.csv")) == tmp_path / "a.csv"


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["memory", "s3"])
def test_fetched_once_a_version(kind: str, request: pytest.FixtureRequest, cache: Cache) -> None:
    """The cached file has the place's name; a changed file is fetched anew by the next process."""
    request.getfixturevalue(kind)
    place = "memory://data" if kind == "memory" else request.getfixturevalue("s3")
    files, path = fsspec.core.url_to_fs(f"{place}/a b.csv")
    files.pipe_file(path, b"text,label\nold,x\n")
    first = local_file(f"{place}/a b.csv")
    _fetch.cache_clear()
    assert (first.name, first.read_bytes()) == ("a b.csv", b"text,label\nold,x\n")
    assert local_file(f"{place}/a b.csv") == first
    files.pipe_file(path, b"text,label\nnew,x,\n")
    assert local_file(f"{place}/a b.csv") == first  # one process reads one version
    _fetch.cache_clear()
    files.invalidate_cache()
    assert local_file(f"{place}/a b.csv").read_bytes() == b"text,label\nnew,x,\n"
    assert not list(cache.root.rglob("*.partial"))


def test_pinned(memory: dict[str, object], cache: Cache) -> None:
    """`#sha256=` is this content and no other, and is kept without asking again."""
    fsspec.filesystem("memory").pipe_file("/a.csv", b"right")
    url = f"memory://a.csv#sha256={hashlib.sha256(b'right').hexdigest()}"
    path = local_file(url)
    fsspec.filesystem("memory").rm("/a.csv")
    _fetch.cache_clear()
    assert local_file(url) == path
    fsspec.filesystem("memory").pipe_file("/a.csv", b"wrong")
    with pytest.raises(UserError, match="has the content sha256"):
        local_file(f"memory://a.csv#sha256={'0' * 64}")


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("memory://none.csv", "there is no such file"),
        ("https://me:pa55word@example.org/a.csv", "holds a password"),
        ("https://example.org/a.csv?token=abcdef", "holds a password, a token or a query"),
        ("hf:team/name", "a data file is named by"),
        ("memory://a/", "names no file"),
        ("memory://a.csv#sha256=1", "64 hexadecimal digits"),
        ("https://127.0.0.1:9/a.csv", "cannot be reached"),
    ],
)
def test_refused(url: str, message: str, memory: dict[str, object]) -> None:
    """A message without secrets."""
    with pytest.raises(UserError, match=message) as caught:
        local_file(url)
    assert "pa55word" not in str(caught.value)
    assert "abcdef" not in str(caught.value)


@pytest.mark.slow
def test_trained_from_a_url(memory: dict[str, object], tiny_backbone: Path, tmp_path: Path) -> None:
    """The run names the URL and the content; a replay finds out that the file there was changed."""
    recipe = tiny.write_recipe(tmp_path, tiny_backbone)
    (local,) = tmp_path.glob("*.csv")
    fsspec.filesystem("memory").pipe_file("/toys.csv", local.read_bytes())
    console = Console(file=io.StringIO())
    run = train(load_recipe(recipe, ["data.train=memory://toys.csv"]), tmp_path / "run", console=console)
    lock = json.loads(run.lock.read_text())
    assert lock["recipe"]["data"]["train"] == load_recipe(run.recipe).data.train == "memory://toys.csv"
    assert lock["data"]["files"]["train"] == {
        "name": "toys.csv",
        "sha256": hashlib.sha256(local.read_bytes()).hexdigest(),
    }
    fsspec.filesystem("memory").pipe_file("/toys.csv", local.read_bytes() + local.read_bytes().splitlines()[-1] + b"\n")
    _fetch.cache_clear()
    result = replay(run.root, console=console)
    assert not result.trained
    assert [check.name for check in result.checks if not check.equal and check.decides] == ["data"]


def test_a_hub_data_set_file_is_named_by_its_url(hub: Hub) -> None:
    """`hf:` is a model's; a file of a data set has a URL."""
    with pytest.raises(InputError, match="hf://datasets/"):
        local_file("hf:team/rows")
