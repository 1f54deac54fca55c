"""A measurement is a file that can be used again, for its own bundle alone."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from deploy.measurement.measurement import Measurement
from serving.bundle.bundle import Bundle
from serving.errors import InputError
from tests.deploy.measured import measurement_of


@pytest.fixture
def bundle(tiny_bundle: Path) -> Bundle:
    """An opened bundle."""
    return Bundle.open(tiny_bundle)


def test_written_and_read(bundle: Bundle, tmp_path: Path) -> None:
    """What is read is what was written, byte for byte when it is written again."""
    path, measured = tmp_path / "measurement.json", measurement_of(bundle.digest)
    path.write_text(measured.to_json())
    assert Measurement.read(path, bundle) == measured
    assert Measurement.read(path, bundle).to_json() == path.read_text()


def test_another_bundles(bundle: Bundle, tmp_path: Path) -> None:
    """A measurement of another bundle is refused, with both digests and what to do."""
    path = tmp_path / "measurement.json"
    path.write_text(measurement_of("0" * 64).to_json())
    with pytest.raises(InputError, match=rf"sha256 000000000000….*{bundle.digest[:12]}….*tuneship deploy measure"):
        Measurement.read(path, bundle)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        pytest.param({"cpus": 0}, "cpus: Input should be greater than or equal to 1", id="no CPU"),
        pytest.param({"memory_bytes": -1}, "memory_bytes", id="negative"),
        pytest.param({"schema_version": 2}, "schema_version", id="a later version"),
        pytest.param({"speed": 1}, "speed: Extra inputs are not permitted", id="unknown"),
        pytest.param({"calls": [[1, 2]]}, "calls.0", id="a call without its seconds"),
    ],
)
def test_malformed(bundle: Bundle, tmp_path: Path, changed: dict[str, object], message: str) -> None:
    """What is no measurement is refused with its first wrong field."""
    path = tmp_path / "measurement.json"
    content = json.loads(measurement_of(bundle.digest).to_json()) | changed
    path.write_text(json.dumps(content))
    with pytest.raises(InputError, match=message):
        Measurement.read(path, bundle)


def test_no_file(bundle: Bundle, tmp_path: Path) -> None:
    """A path without a file is named."""
    with pytest.raises(InputError, match=r"none\.json cannot be read: No such file"):
        Measurement.read(tmp_path / "none.json", bundle)


def test_the_model_of_the_server(bundle: Bundle) -> None:
    """It has the measured times; a variant that runs rows alone does so in the simulation."""
    model = measurement_of(bundle.digest, batch_rows=1).server_model()
    assert (model.receive, model.answer, model.transport) == (0.0003, 0.0002, 0.0005)
    assert model.shape.rows == 1


def test_generated_texts_are_not_simulated(bundle: Bundle) -> None:
    """Their length decides, which no measurement knows."""
    with pytest.raises(InputError, match="generates texts"):
        measurement_of(bundle.digest, calls=[]).server_model()
