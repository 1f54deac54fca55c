"""Sizes are those that services offer."""

from __future__ import annotations

import pytest

from deploy.plan.deployment import Need, Size
from deploy.plan.limits import cloud_run_size, fargate_size, lambda_size
from serving.errors import InputError


@pytest.mark.parametrize(
    ("need", "size"),
    [
        pytest.param(Need(1, 300), Size(1, 1769), id="a CPU needs 1,769 MiB"),
        pytest.param(Need(2, 300), Size(2, 3538), id="two need twice as much"),
        pytest.param(Need(1, 5000), Size(1, 5000), id="memory decides"),
    ],
)
def test_lambda(need: Need, size: Size) -> None:
    """Memory brings CPUs along."""
    assert lambda_size(need) == size


@pytest.mark.parametrize(
    ("need", "size"),
    [
        pytest.param(Need(1, 300), Size(1, 2048), id="the least of a CPU"),
        pytest.param(Need(1, 2049), Size(1, 3072), id="steps of a GiB"),
        pytest.param(Need(1, 9000), Size(2, 9216), id="more memory takes more CPUs"),
        pytest.param(Need(3, 300), Size(4, 8192), id="no task has three CPUs"),
        pytest.param(Need(8, 17_000), Size(8, 20_480), id="steps of four GiB"),
        pytest.param(Need(16, 33_000), Size(16, 40_960), id="steps of eight GiB"),
    ],
)
def test_fargate(need: Need, size: Size) -> None:
    """A task's memory goes with its CPUs."""
    assert fargate_size(need) == size


@pytest.mark.parametrize(
    ("need", "size"),
    [
        pytest.param(Need(1, 300), Size(1, 512), id="the least"),
        pytest.param(Need(1, 513), Size(1, 640), id="rounded up"),
        pytest.param(Need(1, 4097), Size(2, 4224), id="more than a CPU may have"),
        pytest.param(Need(4, 300), Size(4, 2048), id="the least of four CPUs"),
        pytest.param(Need(5, 300), Size(6, 4096), id="no instance has five CPUs"),
    ],
)
def test_cloud_run(need: Need, size: Size) -> None:
    """An instance's memory goes with its CPUs."""
    assert cloud_run_size(need) == size


@pytest.mark.parametrize("fit", [lambda_size, fargate_size, cloud_run_size])
def test_too_large(fit: object) -> None:
    """What no service offers is refused with what it offers at most."""
    with pytest.raises(InputError, match=r"offers .* at most; 64 CPUs and 500,000 MiB are needed"):
        fit(Need(64, 500_000))  # type: ignore[operator]
