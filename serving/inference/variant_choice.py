"""Which of a bundle's proven variants may answer on this machine. Never a silent wrong answer: it is told why.

A variant is tried by replaying its own golden answers. Where its answers depend on something of the CPU that this
machine does not share with the one the bundle was proven on, it is tried last: a few golden answers cannot stand in for
the whole test set, which was answered on the other CPU.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from serving.bundle.bundle import Bundle
from serving.bundle.cpu import Machine, cpu_mismatches
from serving.errors import BundleError

Opened = TypeVar("Opened")


@dataclass(frozen=True)
class RejectedVariant:
    """A variant that does not serve, and why."""

    variant: str
    reason: str


@dataclass(frozen=True)
class VariantChoice:
    """What became of a bundle's variants on one machine.

    Attributes:
        preferred: the bundle's first variant.
        served: the one that answers.
        passed_over: those that were not taken although they come first, or could not be.
        unlike: what the served one depends on and this machine does not share; empty where it is at home.
    """

    preferred: str
    served: str
    rejected: tuple[RejectedVariant, ...] = ()
    cpu_mismatches: tuple[str, ...] = ()

    @property
    def warnings(self) -> list[str]:
        """What the one who runs the server must know, a line each; none where all is as it was proven."""
        over = [f"the {each.variant} variant does not serve here: {each.reason}" for each in self.rejected]
        instead = [f"the {self.served} variant serves in its place"] if self.served != self.preferred else []
        doubts = [
            f"the {self.served} variant serves although {each}; its golden answers hold" for each in self.cpu_mismatches
        ]
        return [*over, *instead, *doubts]


@dataclass(frozen=True)
class _Candidate:
    bundle: Bundle
    cpu_mismatches: tuple[str, ...]

    @property
    def variant(self) -> str:
        return self.bundle.manifest.graph.variant


def select_variant(bundle: Bundle, load: Callable[[Bundle], Opened], machine: Machine) -> tuple[Opened, VariantChoice]:
    """Open the first variant that answers on this machine as it was proven, and log a warning of whatever is not so.

    Args:
        bundle: a checked bundle.
        load: loads a bundle's first variant and replays its golden answers; raises BundleError.
        machine: the one that is to answer.

    Raises:
        BundleError: no variant answers here; the message has the reason for each.
    """
    candidates = [_candidate(each, machine) for each in (bundle, *bundle.alternatives)]
    failed: dict[str, str] = {}
    for each in sorted(candidates, key=lambda each: bool(each.cpu_mismatches)):
        try:
            opened = load(each.bundle)
        except BundleError as error:
            if len(candidates) == 1:
                raise
            failed[each.variant] = str(error)
        else:
            return opened, _told(_choice(each, candidates, failed), bundle)
    reasons = "; ".join(f"{variant}: {reason}" for variant, reason in failed.items())
    raise BundleError(f"{bundle.root}: no variant answers on this machine as it was proven. {reasons}")


def _candidate(bundle: Bundle, machine: Machine) -> _Candidate:
    manifest = bundle.manifest
    return _Candidate(bundle, cpu_mismatches(manifest.graph.depends_on, manifest.proven_on, machine))


def _choice(served: _Candidate, candidates: Sequence[_Candidate], failed: dict[str, str]) -> VariantChoice:
    before = candidates[: candidates.index(served)]
    reasons = {each.variant: "; ".join(each.cpu_mismatches) for each in before} | failed
    rejected = (RejectedVariant(each.variant, reasons[each.variant]) for each in candidates if each.variant in reasons)
    return VariantChoice(candidates[0].variant, served.variant, tuple(rejected), served.cpu_mismatches)


def _told(choice: VariantChoice, bundle: Bundle) -> VariantChoice:
    for line in choice.warnings:
        logging.getLogger("tuneship").warning("%s: %s", bundle.manifest.name, line)
    return choice
