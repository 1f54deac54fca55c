"""Every target, by its name."""

from __future__ import annotations

from deploy.plan.targets.base import Target
from deploy.plan.targets.helm import HELM
from deploy.plan.targets.kubernetes import KUBERNETES

TARGETS: dict[str, Target] = {target.name: target for target in (KUBERNETES, HELM)}
