"""Bundles with a changed byte are refused, and bundles that are replaced under load answer as one of the versions."""

from __future__ import annotations

import random
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from serving.bundle.bundle import Bundle
from serving.errors import BundleError
from serving.inference.predictor import Predictor
from tests.faults.callers import Rows, Tally, ask_all, asking
from tests.faults.results import LONG, record, times
from tests.serving.http.models.test_registry import relabelled, turn
from tests.serving.processes import get, serving, until

FLIPS, SWAPS = times(10, 1000), times(4, 200)


def flipped_places(bundle: Path) -> Iterator[tuple[Path, int, int]]:
    """A file, a place and the bit to flip there: so many in each file, or one at every place of those that say much."""
    draw = random.Random(0)
    for path in sorted(bundle.iterdir()):
        size = path.stat().st_size
        every = LONG and path.suffix == ".json"
        places = range(size) if every else sorted(draw.sample(range(size), min(FLIPS, size)))
        yield from ((path, place, 1 << draw.randrange(8)) for place in places)


@pytest.mark.slow
def test_flipped_bytes(tiny_bundle: Path, tmp_path: Path, rows: Rows) -> None:
    """No bundle with a flipped bit is opened, or its answers are the golden ones all the same."""
    bundle, tally, tried = Path(shutil.copytree(tiny_bundle, tmp_path / "bundle")), Tally(), 0
    for path, place, bit in flipped_places(bundle):
        content, tried = path.read_bytes(), tried + 1
        path.write_bytes(content[:place] + bytes([content[place] ^ bit]) + content[place + 1 :])
        try:
            Bundle.open(bundle)
        except BundleError:
            pass
        else:
            compare(Predictor.open(bundle), rows, tally)
        path.write_bytes(content)
    assert tally.wrong == []
    record("bundle with a flipped bit", tried, "places", tally, f"{tried - tally.compared // len(rows):,} refused")


def compare(predictor: Predictor, rows: Rows, tally: Tally) -> None:
    """Count the answers as if a server had given them."""
    import json

    for inputs, accepted in rows:
        tally.count(inputs, accepted, 200, json.dumps(predictor.predict([inputs])).encode())


@pytest.mark.slow
def test_swapped(tiny_bundle: Path, rows: Rows, tmp_path: Path) -> None:
    """A bundle that is replaced again and again under load: each answer is one version's, and no request is lost."""
    shutil.copytree(tiny_bundle, tmp_path / "v1")
    relabelled(tiny_bundle, tmp_path / "v2")
    (tmp_path / "current").symlink_to("v1")
    second = Predictor.open(tmp_path / "v2").predict([inputs for inputs, _ in rows])
    either = [(inputs, [*accepted, other]) for (inputs, accepted), other in zip(rows, second, strict=True)]
    digests = {name: Bundle.open(tmp_path / name).digest for name in ("v1", "v2")}
    with serving(tmp_path / "current", folder=tmp_path) as server, asking(server.port, either) as tally:
        for number in range(SWAPS):
            version = f"v{2 - number % 2}"
            turn(tmp_path / "current", version)
            server.process.send_signal(signal.SIGHUP)
            until(lambda version=version: digests[version] in get(f"{server.url}/info")[1])  # type: ignore[misc]
    assert (tally.wrong, tally.others) == ([], {})
    record("bundle replaced under load", SWAPS, "times", tally, "no request lost")


@pytest.mark.slow
def test_half_written(tiny_bundle: Path, rows: Rows, tmp_path: Path) -> None:
    """A new version that is half there, or gone, is refused; the old one goes on answering."""
    bundle = Path(shutil.copytree(tiny_bundle, tmp_path / "bundle"))
    with serving(bundle, folder=tmp_path) as server:
        for name in (files := sorted(path.name for path in bundle.iterdir())):
            content = (bundle / name).read_bytes()
            (bundle / name).write_bytes(content[: len(content) // 2])
            server.process.send_signal(signal.SIGHUP)
            tally = ask_all(server.port, rows)
            (bundle / name).write_bytes(content)
            assert (tally.right, tally.wrong) == (len(rows), [])
        shutil.rmtree(bundle)
        server.process.send_signal(signal.SIGHUP)
        tally = ask_all(server.port, rows)
        assert (tally.right, tally.wrong, tally.others) == (len(rows), [], {})
        assert get(f"{server.url}/readyz")[0] == 200
    record("bundle half written, or deleted, while it is served", len(files), "files", tally)
