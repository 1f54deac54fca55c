"""Every target, by its name."""

from __future__ import annotations

from deploy.plan.targets.aws_lambda import LAMBDA_SAM, LAMBDA_TERRAFORM
from deploy.plan.targets.base import Target
from deploy.plan.targets.cloud_run import CLOUD_RUN
from deploy.plan.targets.compose import COMPOSE
from deploy.plan.targets.ecs import ECS
from deploy.plan.targets.helm import HELM
from deploy.plan.targets.kserve import KSERVE
from deploy.plan.targets.kubernetes import KUBERNETES
from deploy.plan.targets.sagemaker import SAGEMAKER
from deploy.plan.targets.vertex import VERTEX

ALL = (LAMBDA_SAM, LAMBDA_TERRAFORM, ECS, KUBERNETES, HELM, KSERVE, CLOUD_RUN, SAGEMAKER, VERTEX, COMPOSE)

TARGETS: dict[str, Target] = {target.name: target for target in ALL}
