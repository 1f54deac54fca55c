"""The manifest's fields at their extremes: a sealed one is served as it says, or refused as a bundle."""

from __future__ import annotations

import contextlib
import copy
import functools
import hashlib
import json
import operator
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from serving.bundle.bundle import Bundle
from serving.bundle.manifest import MANIFEST, Manifest
from serving.errors import BundleError
from serving.inference.predictor import Predictor

Content = dict[str, Any]
Place = tuple[str | int, ...]

NUMBERS = (-1, 0, 1, 2**31, 2**32, 2**63, 2**64, 10**400, -(2**70), 0.5, 1e308, float("nan"), float("inf"))
TEXTS = ("", "\0", "a\0b", "\ud800", "x" * 300, "../../x", "/etc/passwd", ".", "C:\\x", "%s", "\u202e")
SERVED_BY = ("task", "labels", "settings", "tokenizer", "graph", "golden", "limits", "fallbacks", "proven_on")
OTHERS = (None, True, [], {}, [[]] * 3)


@pytest.fixture(scope="module")
def bundle(tiny_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy whose manifest every test replaces."""
    return shutil.copytree(tiny_bundle, tmp_path_factory.mktemp("manifest") / "bundle")


@pytest.fixture
def content(tiny_bundle: Path) -> Content:
    """The sound manifest's, with the same variant as its fallback."""
    read: Content = json.loads((tiny_bundle / MANIFEST).read_bytes())
    variant = {name: read[name] for name in ("graph", "settings", "golden", "verdict")}
    free = {name: {"a": {"b": [0.5, "text"]}} for name in ("model", "data", "training", "card")}
    return {**read, **free, "fallbacks": [variant]}


def seal(bundle: Path, content: Content) -> None:
    """Write a manifest."""
    (bundle / MANIFEST).write_bytes(sealed(content))


def sealed(content: Content) -> bytes:
    """With the digest that an exporter or a forger would give it."""
    unsigned = {key: value for key, value in content.items() if key != "digest"}
    return canonical({**unsigned, "digest": hashlib.sha256(canonical(unsigned)).hexdigest()})


def canonical(content: Content) -> bytes:
    """As the exporter writes it, and what no exporter can."""
    return (json.dumps(content, indent=2, sort_keys=True, ensure_ascii=False) + "\n").encode(errors="surrogatepass")


def leaves(value: Any, place: Place = ()) -> Iterator[Place]:
    """Where a value lies that is no mapping and no list, or is empty; of equal parts the first."""
    if isinstance(value, (dict, list)) and value:
        keys = list(value) if isinstance(value, dict) else [0]
        for key in keys[:1] if place in (("files",), ("versions",)) else keys:
            yield from leaves(value[key], (*place, key))
    else:
        yield place


def changes(content: Content) -> Iterator[tuple[Place, Any]]:
    """Each field with the extremes of its kind, and with other kinds."""
    for place in leaves(content):
        found = functools.reduce(operator.getitem, place, content)  # type: ignore[arg-type]
        extremes = TEXTS if isinstance(found, str) else NUMBERS
        yield from ((place, value) for value in (*extremes, *OTHERS))


def replaced(content: Content, place: Place, value: Any) -> Content:
    """With another value there."""
    changed = copy.deepcopy(content)
    holder: Any = changed
    for key in place[:-1]:
        holder = holder[key]
    holder[place[-1]] = value
    return changed


def open_as(bundle: Path, content: Content) -> Bundle | None:
    """Opened, or refused as a bundle; any other exception is a failure."""
    seal(bundle, content)
    try:
        return Bundle.open(bundle)
    except BundleError:
        return None


@pytest.mark.slow
def test_every_field(content: Content) -> None:
    """Whatever stands in a field, the manifest is read or refused; a number that no library takes is refused."""
    for place, value in changes(content):
        with contextlib.suppress(BundleError):
            Manifest.from_bytes(sealed(replaced(content, place, value)))
    for place in (("tokenizer", "max_length"), ("tokenizer", "pad_token_id"), ("tokenizer", "pad_token_type_id")):
        for number in (-1, 2**31, 2**64):
            with pytest.raises(BundleError, match=rf"{place[1]}: Input should be (less|greater) than or equal to"):
                Manifest.from_bytes(sealed(replaced(content, place, number)))


@pytest.mark.slow
def test_every_field_served(bundle: Path, content: Content) -> None:
    """What is read is served, or refused as a bundle."""
    for place, value in changes(content):
        if place[0] in SERVED_BY:
            seal(bundle, replaced(content, place, value))
            with contextlib.suppress(BundleError):
                Predictor.open(bundle)


def test_a_length_at_the_bound_is_served(bundle: Path, content: Content) -> None:
    """The largest accepted length is one that the tokenizers library takes."""
    seal(bundle, replaced(content, ("tokenizer", "max_length"), 2**31 - 1))
    assert Predictor(Bundle.open(bundle))


@pytest.mark.parametrize("place", [("verdict",), ("fallbacks", 0, "verdict")])
def test_failed_proof(bundle: Path, content: Content, place: Place) -> None:
    """A variant whose proof failed is not served, not even as a fallback."""
    seal(bundle, replaced(content, (*place, "passed"), False))
    with pytest.raises(BundleError, match=r"manifest\.json: the proof of fp32 failed"):
        Bundle.open(bundle)


@pytest.mark.parametrize(
    "created", ["", "yesterday", "2026-13-01T00:00:00+00:00", "2026-01-01T00:00:00", "2026-01-01", "٢٠٢٦-01-01"]
)
def test_malformed_date(bundle: Path, content: Content, created: str) -> None:
    """A date that is none, or in no time zone, is refused: a server may demand one."""
    seal(bundle, replaced(content, ("created",), created))
    with pytest.raises(BundleError, match=r"created: .*a date and time in UTC"):
        Bundle.open(bundle)


@pytest.mark.parametrize("name", ["a\0b", "a\nb", "", "x" * 300, "\u202eno.nnx", "a\\b"])
def test_file_names(bundle: Path, content: Content, name: str) -> None:
    """A file's name is of letters, digits, points, dashes and slashes, and not too long for a file system."""
    entry = next(iter(content["files"].values()))
    for changed in (
        {**content, "files": {**content["files"], name: entry}},
        replaced(content, ("graph", "file"), name),
        replaced(content, ("golden", "file"), name),
        replaced(content, ("tokenizer", "file"), name),
        replaced(content, ("graph", "data"), [name]),
    ):
        assert open_as(bundle, changed) is None


def test_link(bundle: Path, content: Content, tmp_path: Path) -> None:
    """A manifest that is a link is refused, as every other file is."""
    seal(bundle, content)
    assert Bundle.open(bundle)
    (bundle / MANIFEST).rename(tmp_path / MANIFEST)
    (bundle / MANIFEST).symlink_to(tmp_path / MANIFEST)
    try:
        with pytest.raises(BundleError, match=f"{MANIFEST} is a link"):
            Bundle.open(bundle)
    finally:
        (bundle / MANIFEST).unlink()


def test_too_large(bundle: Path, content: Content) -> None:
    """A manifest of any size is not read whole."""
    with (bundle / MANIFEST).open("wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(BundleError, match=f"{MANIFEST} cannot be read: more than"):
        Bundle.open(bundle)
    (bundle / MANIFEST).unlink()


def test_deep(bundle: Path, content: Content) -> None:
    """A manifest of any depth is a message."""
    text = canonical(content).decode()
    for depth in (500, 990, 1000, 100_000):
        (bundle / MANIFEST).write_text(text.replace('"card": {', '"card": {"x": ' + "[" * depth + "]" * depth + ", "))
        with pytest.raises(BundleError):
            Bundle.open(bundle)
