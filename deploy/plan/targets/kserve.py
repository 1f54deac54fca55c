"""KServe: a kustomization of the runtime and the service in deploy/kserve."""

from __future__ import annotations

from deploy.plan.deployment import Deployment
from deploy.plan.targets.base import Target, exact_size

TEMPLATE = """\
apiVersion: kustomize.config.k8s.io/v1beta1
kind: Kustomization
resources:
  - serving-runtime.yaml
  - inference-service.yaml
patches:
  - target:
      kind: ServingRuntime
    patch: |-
      - op: replace
        path: /metadata/name
        value: {name}
      - op: replace
        path: /spec/containers/0/image
        value: {image}
      - op: add
        path: /spec/containers/0/env/-
        value:
          name: TUNESHIP_THREADS
          value: "{threads}"
      - op: add
        path: /spec/containers/0/env/-
        value:
          name: TUNESHIP_WAIT_SECONDS
          value: "{timeout_seconds}"
      - op: replace
        path: /spec/containers/0/resources/requests/cpu
        value: "{cpus}"
      - op: replace
        path: /spec/containers/0/resources/requests/memory
        value: {memory_mb}Mi
      - op: replace
        path: /spec/containers/0/resources/limits/cpu
        value: "{cpus}"
      - op: replace
        path: /spec/containers/0/resources/limits/memory
        value: {memory_mb}Mi
    options:
      allowNameChange: true
  - target:
      kind: InferenceService
    patch: |-
      - op: replace
        path: /metadata/name
        value: {name}
      - op: add
        path: /metadata/annotations/tuneship~1bundle-digest
        value: "{bundle_digest}"
      - op: replace
        path: /spec/predictor/minReplicas
        value: {min_replicas}
      - op: replace
        path: /spec/predictor/maxReplicas
        value: {max_replicas}
      - op: replace
        path: /spec/predictor/timeout
        value: {timeout_seconds}
      - op: replace
        path: /spec/predictor/model/runtime
        value: {name}
      - op: replace
        path: /spec/predictor/model/storageUri
        value: oci+native://{model_image}
    options:
      allowNameChange: true
"""


def values(deployment: Deployment) -> tuple[str, str]:
    return "kustomization.yaml", TEMPLATE.format(**vars(deployment))


def commands(deployment: Deployment) -> list[str]:
    return [
        "kubectl diff --kustomize .",
        "kubectl apply --kustomize .",
        f"kubectl wait --for=condition=Ready inferenceservice/{deployment.name} --timeout=10m",
    ]


KSERVE = Target("kserve", "kserve", exact_size, values, commands, "a node's share", model_image=True)
