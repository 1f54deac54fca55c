"""Which of a bundle's proven variants serves on this machine.

The first that reproduces its golden answers. A variant that depends on CPU arithmetic in which this machine differs
from the proof's never serves: few golden answers cannot replace the test set.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from serving.bundle.bundle import Bundle
from serving.bundle.cpu import Machine, cpu_mismatches
from serving.bundle.manifest import Device
from serving.errors import BundleError
from serving.inference.device import require_device

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
    rejected: those before it.
    """

    preferred: str
    served: str
    rejected: tuple[RejectedVariant, ...] = ()

    @property
    def warnings(self) -> list[str]:
        """For the operator."""
        rejected = [f"the {each.variant} variant does not serve here: {each.reason}" for each in self.rejected]
        return [*rejected, *([f"the {self.served} variant serves in its place"] if rejected else [])]


def select_variant(
    bundle: Bundle, load: Callable[[Bundle], Opened], machine: Machine, device: Device = "auto"
) -> tuple[Opened, VariantChoice]:
    """Load the first variant that may serve on this machine, and log warnings.

    Args:
        bundle: a checked bundle.
        load: loads a first variant and replays its golden answers; raises BundleError.
        machine: that serves.
        device: that the operator asks for.

    Raises:
        BundleError: no variant may; the message has each reason.
    """
    rejected: list[RejectedVariant] = []
    for candidate in (bundle, *bundle.alternatives):
        variant = candidate.manifest.graph.variant
        try:
            require_device(candidate, device)
            require_proven_cpu(candidate, machine)
            opened = load(candidate)
        except BundleError as error:
            if not bundle.alternatives:
                raise
            rejected.append(RejectedVariant(variant, str(error)))
        else:
            choice = VariantChoice(bundle.manifest.graph.variant, variant, tuple(rejected))
            for line in choice.warnings:
                logging.getLogger("tuneship").warning("%s: %s", bundle.manifest.name, line)
            return opened, choice
    summary = "; ".join(f"{each.variant}: {each.reason}" for each in rejected)
    raise BundleError(f"{bundle.root}: no variant answers on this machine as it was proven. {summary}")


def require_proven_cpu(bundle: Bundle, machine: Machine) -> None:
    """Raise BundleError if the first variant depends on arithmetic in which this CPU differs from the proof's."""
    manifest = bundle.manifest
    if mismatches := cpu_mismatches(manifest.graph.depends_on, manifest.proven_on, machine):
        raise BundleError(
            f"{'; '.join(mismatches)}. Export and prove the bundle on a machine of this kind, serve it on one of that"
            " kind, or add fp32 to it by tuneship export --fallback"
        )
