"""All that is looked at, in the order it is told."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from onboarding.doctor.finding import Finding
from onboarding.doctor.machine import check_machine
from onboarding.doctor.packages import check_model_package, check_packages
from onboarding.doctor.subject import check_subject
from onboarding.doctor.surroundings import check_surroundings


def diagnose(subject: Path | None = None, *, network: bool = False) -> Iterator[Finding]:
    """Of this machine, and of what a bundle or a recipe needs; torch is not imported. Raises InputError."""
    about = check_subject(subject) if subject else iter(())
    yield from check_packages()
    yield check_model_package()
    yield from check_machine()
    yield from check_surroundings(network=network)
    yield from about
