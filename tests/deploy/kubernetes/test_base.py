"""The server of `deploy/kubernetes/base`: its schema, its rights, and times that fit the server's own."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path

import kubernetes_validate
import pytest
from starlette.testclient import TestClient

from serving.http.app import create_app
from serving.inference.predictor import Predictor
from serving.settings.access import PROBES
from serving.settings.limits import DEFAULT
from serving.settings.settings import ServerSettings
from tests.deploy.manifests import VERSIONS, Object, assert_valid, read_base, violations

BREAK: dict[str, Callable[[Object], object]] = {
    "may be root": lambda pod: pod["securityContext"].update(runAsUser=0),
    "no seccomp profile": lambda pod: pod["securityContext"].pop("seccompProfile"),
    "has a token": lambda pod: pod.pop("automountServiceAccountToken"),
    "is told of other services": lambda pod: pod.pop("enableServiceLinks"),
    "sees its node": lambda pod: pod["volumes"].append({"name": "x", "hostPath": {"path": "/"}}),
    "fills its node's disk": lambda pod: pod["volumes"].append({"name": "x", "emptyDir": {}}),
    "privileged": lambda pod: container_of(pod)["securityContext"].update(privileged=True),
    "has capabilities": lambda pod: container_of(pod)["securityContext"].pop("capabilities"),
    "writes its root": lambda pod: container_of(pod)["securityContext"].pop("readOnlyRootFilesystem"),
    "image without digest": lambda pod: container_of(pod).update(image="registry.example.com/tuneship:latest"),
    "no limits": lambda pod: container_of(pod)["resources"].update(limits={}, requests={}),
    "requests differ from limits": lambda pod: container_of(pod)["resources"]["requests"].update(cpu="100m"),
}


def of_kind(kind: str) -> Object:
    """The base's only object of a kind."""
    [found] = [each for (own, _), each in read_base().items() if own == kind]
    return found


def pod() -> Object:
    """The server's."""
    spec: Object = of_kind("Deployment")["spec"]["template"]["spec"]
    return spec


def container_of(spec: Object) -> Object:
    """The only one."""
    only: Object = spec["containers"][0]
    assert len(spec["containers"]) == 1
    return only


def environment() -> dict[str, str]:
    """The server's variables."""
    return {each["name"]: each["value"] for each in container_of(pod())["env"]}


@pytest.mark.parametrize("version", VERSIONS)
def test_kubernetes_takes_it(version: str) -> None:
    """Strictly: an unknown field is refused."""
    assert_valid(read_base(), version)


def test_the_check_can_fail() -> None:
    """A misspelt field is found."""
    objects = read_base()
    objects["Deployment", "tuneship"]["spec"]["template"]["spec"]["containers"][0]["readynessProbe"] = {}
    with pytest.raises(kubernetes_validate.ValidationError):
        assert_valid(objects, VERSIONS[-1])


def test_it_breaks_no_policy() -> None:
    """No root, no rights, no tag, bounded resources."""
    assert violations(pod()) == set()


@pytest.mark.parametrize("policy", BREAK)
def test_a_broken_policy_is_found(policy: str) -> None:
    """Each of them, in an altered pod."""
    altered = copy.deepcopy(pod())
    BREAK[policy](altered)
    assert policy in violations(altered)


def test_the_server_takes_its_variables(tmp_path: Path) -> None:
    """The settings parse them, and no variable is misspelt: each changes a setting."""
    limits = ServerSettings.from_environment(environment()).server_limits
    assert limits.wait_seconds == float(environment()["TUNESHIP_WAIT_SECONDS"])
    assert limits.drain_seconds == float(environment()["TUNESHIP_DRAIN_SECONDS"])
    assert limits.grace_seconds == float(environment()["TUNESHIP_GRACE_SECONDS"])


def test_probes_are_the_servers_endpoints(tiny_bundle: Path) -> None:
    """A loaded server answers them with 200 at the port, and asks for no key."""
    paths = {
        kind: container_of(pod())[f"{kind}Probe"]["httpGet"]["path"] for kind in ("startup", "readiness", "liveness")
    }
    app = create_app(lambda: Predictor.open(tiny_bundle))
    with TestClient(app) as client:
        answered = {kind: client.get(path).status_code for kind, path in paths.items()}
    assert answered == {"startup": 200, "readiness": 200, "liveness": 200}
    assert set(paths.values()) <= PROBES
    assert {each["name"]: each["containerPort"] for each in container_of(pod())["ports"]} == {"http": 3000}


def test_a_start_is_given_up_by_the_server_first() -> None:
    """It says why; the kubelet would not. A roll-out waits longer than both."""
    probe = container_of(pod())["startupProbe"]
    patience = probe["periodSeconds"] * probe["failureThreshold"]
    assert DEFAULT.load_seconds < patience < of_kind("Deployment")["spec"]["progressDeadlineSeconds"]


def test_a_busy_server_is_not_killed() -> None:
    """Only one that has answered nothing for longer than a request may take."""
    probe = container_of(pod())["livenessProbe"]
    assert probe["periodSeconds"] * probe["failureThreshold"] > float(environment()["TUNESHIP_WAIT_SECONDS"])


def test_it_may_drain() -> None:
    """SIGKILL comes after both of the server's own times, and the second in which it ends by force."""
    limits = ServerSettings.from_environment(environment()).server_limits
    assert pod()["terminationGracePeriodSeconds"] > limits.drain_seconds + limits.grace_seconds + 1
    assert "lifecycle" not in container_of(pod())


def test_it_writes_where_it_may() -> None:
    """Temporary files have a volume, as the root is read-only."""
    assert {each["mountPath"] for each in container_of(pod())["volumeMounts"]} == {"/tmp"}


def test_selectors_choose_the_pods() -> None:
    """Of the service, the disruption budget, the network policy and the spread; the deployment's chooses its own."""
    labels = of_kind("Deployment")["spec"]["template"]["metadata"]["labels"].items()
    selectors = [
        of_kind("Service")["spec"]["selector"],
        of_kind("PodDisruptionBudget")["spec"]["selector"]["matchLabels"],
        of_kind("NetworkPolicy")["spec"]["podSelector"]["matchLabels"],
        *(each["labelSelector"]["matchLabels"] for each in pod()["topologySpreadConstraints"]),
    ]
    assert all(selector.items() < labels for selector in selectors)
    assert of_kind("Deployment")["spec"]["selector"]["matchLabels"].items() == labels


def test_names_add_up() -> None:
    """The service's port, the autoscaler's target and the account are those of the deployment."""
    assert of_kind("Service")["spec"]["ports"][0]["targetPort"] == container_of(pod())["ports"][0]["name"]
    assert of_kind("NetworkPolicy")["spec"]["ingress"][0]["ports"][0]["port"] == container_of(pod())["ports"][0]["name"]
    target = of_kind("HorizontalPodAutoscaler")["spec"]["scaleTargetRef"]
    assert (target["kind"], target["name"]) == ("Deployment", of_kind("Deployment")["metadata"]["name"])
    assert pod()["serviceAccountName"] == of_kind("ServiceAccount")["metadata"]["name"]


def test_applying_it_again_keeps_the_replicas() -> None:
    """The autoscaler's number would be undone by one in the deployment."""
    assert "replicas" not in of_kind("Deployment")["spec"]


def test_a_roll_out_and_a_drained_node_leave_replicas() -> None:
    """A new pod is ready before an old one goes; evictions take one at a time, of at least two."""
    assert of_kind("Deployment")["spec"]["strategy"]["rollingUpdate"] == {"maxSurge": 1, "maxUnavailable": 0}
    assert of_kind("PodDisruptionBudget")["spec"]["maxUnavailable"] == 1
    assert of_kind("HorizontalPodAutoscaler")["spec"]["minReplicas"] >= 2


def test_it_reaches_nobody() -> None:
    """No egress at all; ingress from its own namespace and from named ones, to its port alone."""
    policy = of_kind("NetworkPolicy")["spec"]
    assert set(policy["policyTypes"]) == {"Ingress", "Egress"}
    assert policy["egress"] == []
    [rule] = policy["ingress"]
    assert {"podSelector": {}} in rule["from"]
    assert len(rule["ports"]) == 1
