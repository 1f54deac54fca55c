"""Kustomize: an overlay of deploy/kubernetes/base."""

from __future__ import annotations

from deploy.plan.deployment import Deployment
from deploy.plan.targets.base import Target, exact_size

OVERLAY = "overlays/plan"

# Kustomize patches by strategic merge: names say which container and which variable.
TEMPLATE = """\
apiVersion: kustomize.config.k8s.io/v1beta1
kind: Kustomization
nameSuffix: -{name}
labels:
  - pairs:
      app.kubernetes.io/instance: tuneship-{name}
    includeSelectors: true
    includeTemplates: true
    fields:
      - path: spec/selector/matchLabels
        kind: ServiceMonitor
        create: false
resources:
  - ../../base
components: []
images:
  - name: registry.example.com/tuneship
    newName: {image_name}
    digest: {image_digest}
patches:
  - target:
      kind: Deployment
    patch: |-
      apiVersion: apps/v1
      kind: Deployment
      metadata:
        name: tuneship
      spec:
        template:
          metadata:
            annotations:
              tuneship/bundle-digest: "{bundle_digest}"
          spec:
            containers:
              - name: server
                env:
                  - name: TUNESHIP_THREADS
                    value: "{threads}"
                  - name: TUNESHIP_WAIT_SECONDS
                    value: "{timeout_seconds}"
                resources:
                  requests:
                    cpu: "{cpus}"
                    memory: {memory_mb}Mi
                  limits:
                    cpu: "{cpus}"
                    memory: {memory_mb}Mi
  - target:
      kind: HorizontalPodAutoscaler
    patch: |-
      apiVersion: autoscaling/v2
      kind: HorizontalPodAutoscaler
      metadata:
        name: tuneship
      spec:
        minReplicas: {min_replicas}
        maxReplicas: {max_replicas}
"""


def values(deployment: Deployment) -> tuple[str, str]:
    names = {"image_name": deployment.image_name, "image_digest": deployment.image_digest}
    return f"{OVERLAY}/kustomization.yaml", TEMPLATE.format(**vars(deployment), **names)


def commands(deployment: Deployment) -> list[str]:
    return [
        f"kubectl diff --kustomize {OVERLAY}",
        f"kubectl apply --kustomize {OVERLAY}",
        f"kubectl rollout status deployment/tuneship-{deployment.name}",
    ]


KUBERNETES = Target(
    "kubernetes", "kubernetes", exact_size, values, commands, "a node's share", left_out=("train-job.yaml",)
)
