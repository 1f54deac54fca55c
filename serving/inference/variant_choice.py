"""Which of a bundle's proven variants serves on this machine.

Each must reproduce its golden answers. Variants that depend on CPU features in which this machine differs from the
proof's come last: few golden answers cannot replace the test set.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from serving.bundle.bundle import Bundle
from serving.bundle.cpu import Machine, cpu_mismatches
from serving.errors import BundleError

Opened = TypeVar("Opened")


@dataclass(frozen=True)
class RejectedVariant:
    variant: str
    reason: str


@dataclass(frozen=True)
class VariantChoice:
    """Attributes:
    preferred: the bundle's first variant.
    served: the selected one.
    rejected: those that failed or were passed over.
    cpu_mismatches: of the served one.
    """

    preferred: str
    served: str
    rejected: tuple[RejectedVariant, ...] = ()
    cpu_mismatches: tuple[str, ...] = ()

    @property
    def warnings(self) -> list[str]:
        """For the operator."""
        rejected = [f"the {each.variant} variant does not serve here: {each.reason}" for each in self.rejected]
        instead = [f"the {self.served} variant serves in its place"] if self.served != self.preferred else []
        doubts = [
            f"the {self.served} variant serves although {each}; its golden answers hold" for each in self.cpu_mismatches
        ]
        return [*rejected, *instead, *doubts]


def select_variant(bundle: Bundle, load: Callable[[Bundle], Opened], machine: Machine) -> tuple[Opened, VariantChoice]:
    """Load the first variant that reproduces its golden answers, and log warnings.

    Args:
        bundle: a checked bundle.
        load: loads a first variant and replays its golden answers; raises BundleError.
        machine: that serves.

    Raises:
        BundleError: no variant does; the message has each reason.
    """
    bundles = (bundle, *bundle.alternatives)
    candidates = [(each.manifest.graph.variant, each, _mismatches(each, machine)) for each in bundles]
    failures: dict[str, str] = {}
    for variant, candidate, mismatches in sorted(candidates, key=lambda each: bool(each[2])):
        try:
            opened = load(candidate)
        except BundleError as error:
            if len(candidates) == 1:
                raise
            failures[variant] = str(error)
        else:
            order = [each for each, _, _ in candidates]
            passed_over = {each: "; ".join(why) for each, _, why in candidates[: order.index(variant)]}
            reasons = passed_over | failures
            rejected = tuple(RejectedVariant(each, reasons[each]) for each in order if each in reasons)
            choice = VariantChoice(order[0], variant, rejected, mismatches)
            for line in choice.warnings:
                logging.getLogger("tuneship").warning("%s: %s", bundle.manifest.name, line)
            return opened, choice
    summary = "; ".join(f"{variant}: {reason}" for variant, reason in failures.items())
    raise BundleError(f"{bundle.root}: no variant answers on this machine as it was proven. {summary}")


def _mismatches(bundle: Bundle, machine: Machine) -> tuple[str, ...]:
    return cpu_mismatches(bundle.manifest.graph.depends_on, bundle.manifest.proven_on, machine)
