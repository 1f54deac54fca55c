"""Which of a bundle's proven variants serves on this machine; logs why if it is not the first.

Each variant must reproduce its golden answers. Variants that depend on CPU features in which this machine differs from
the proof's are tried last: the few golden answers cannot replace the whole test set.
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
    """The result of the selection.

    Attributes:
        preferred: the bundle's first variant.
        served: the selected variant.
        rejected: variants that failed, or came earlier in the bundle.
        cpu_mismatches: CPU features that the served variant depends on and this machine lacks.
    """

    preferred: str
    served: str
    rejected: tuple[RejectedVariant, ...] = ()
    cpu_mismatches: tuple[str, ...] = ()

    @property
    def warnings(self) -> list[str]:
        """For the operator; empty if the first variant serves on a CPU like the proof's."""
        rejected = [f"the {each.variant} variant does not serve here: {each.reason}" for each in self.rejected]
        instead = [f"the {self.served} variant serves in its place"] if self.served != self.preferred else []
        doubts = [
            f"the {self.served} variant serves although {each}; its golden answers hold" for each in self.cpu_mismatches
        ]
        return [*rejected, *instead, *doubts]


@dataclass(frozen=True)
class _Candidate:
    bundle: Bundle
    cpu_mismatches: tuple[str, ...]

    @property
    def variant(self) -> str:
        return self.bundle.manifest.graph.variant


def select_variant(bundle: Bundle, load: Callable[[Bundle], Opened], machine: Machine) -> tuple[Opened, VariantChoice]:
    """Load the first variant that reproduces its golden answers, and log warnings.

    Args:
        bundle: a checked bundle.
        load: loads a bundle's first variant and replays its golden answers; raises BundleError.
        machine: the machine that serves.

    Raises:
        BundleError: no variant does; the message has each one's reason.
    """
    candidates = [_candidate(each, machine) for each in (bundle, *bundle.alternatives)]
    failures: dict[str, str] = {}
    for each in sorted(candidates, key=lambda each: bool(each.cpu_mismatches)):
        try:
            opened = load(each.bundle)
        except BundleError as error:
            if len(candidates) == 1:
                raise
            failures[each.variant] = str(error)
        else:
            choice = _describe_choice(each, candidates, failures)
            for line in choice.warnings:
                logging.getLogger("tuneship").warning("%s: %s", bundle.manifest.name, line)
            return opened, choice
    reasons = "; ".join(f"{variant}: {reason}" for variant, reason in failures.items())
    raise BundleError(f"{bundle.root}: no variant answers on this machine as it was proven. {reasons}")


def _candidate(bundle: Bundle, machine: Machine) -> _Candidate:
    manifest = bundle.manifest
    return _Candidate(bundle, cpu_mismatches(manifest.graph.depends_on, manifest.proven_on, machine))


def _describe_choice(served: _Candidate, candidates: Sequence[_Candidate], failures: dict[str, str]) -> VariantChoice:
    before = candidates[: candidates.index(served)]
    reasons = {each.variant: "; ".join(each.cpu_mismatches) for each in before} | failures
    rejected = (RejectedVariant(each.variant, reasons[each.variant]) for each in candidates if each.variant in reasons)
    return VariantChoice(candidates[0].variant, served.variant, tuple(rejected), served.cpu_mismatches)
