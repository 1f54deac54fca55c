"""deploy/lambda/terraform and deploy/ecs: Terraform plans them with AWS' own provider, and makes them in moto."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.deploy import terraform, terraform_providers
from tests.deploy.terraform_aws import applied, initialized, provider_folder, run, sent_to, why_no_terraform
from tests.deploy.validators import MISSING, client, failed_checks, running_moto
from tests.paths import ROOT

LAMBDA, ECS = ROOT / "deploy" / "lambda" / "terraform", ROOT / "deploy" / "ecs"
FOLDERS = [LAMBDA, ECS]
IMAGE = f"123456789012.dkr.ecr.eu-west-1.amazonaws.com/support@sha256:{'a' * 64}"
SHARED = {"name", "image", "bundle_digest", "memory_mb", "threads", "max_replicas", "timeout_seconds"}

each_folder = pytest.mark.parametrize("folder", FOLDERS, ids=["lambda", "ecs"])
needs_terraform = pytest.mark.skipif(bool(terraform.MISSING), reason=terraform.MISSING or "it is there")
needs_provider = pytest.mark.skipif(bool(why_no_terraform()), reason=why_no_terraform() or "it is there")
needs_providers = pytest.mark.skipif(bool(terraform_providers.MISSING), reason=terraform_providers.MISSING or "they")
needs_validators = pytest.mark.skipif(bool(MISSING), reason=MISSING or "they are there")
slow = pytest.mark.slow

ACCEPTED = {
    "lambda": {
        "CKV_AWS_116",  # a dead-letter queue is for callers that do not wait: the SQS queue has one of its own
        "CKV_AWS_117",  # a VPC: the function calls nothing in one
        "CKV_AWS_158",  # a key of one's own for log groups: they are encrypted by AWS' key
        "CKV_AWS_173",  # a key of one's own for the environment: there is no secret in it
        "CKV_AWS_272",  # code signing is for zip files; the image is pinned by its digest
        "CKV_AWS_338",  # a year of logs: log_retention_days is the user's
        "CKV_AWS_50",  # X-Ray: the server sends OpenTelemetry spans
    },
    "ecs": {
        "CKV2_AWS_20",  # HTTP to HTTPS: the listener is HTTPS where there is a certificate
        "CKV2_AWS_28",  # a web application firewall: the load balancer is private
        "CKV_AWS_103",  # TLS 1.2: likewise
        "CKV_AWS_111",  # ecr:GetAuthorizationToken has no resources of its own
        "CKV_AWS_158",
        "CKV_AWS_2",  # HTTPS: likewise
        "CKV_AWS_338",
        "CKV_AWS_356",  # ecr:GetAuthorizationToken, likewise
        "CKV_AWS_378",  # HTTP from the load balancer to the tasks, in a private network
        "CKV_AWS_91",  # access logs: the server writes a line for each request
    },
}
"""checkov's checks that the modules fail, and why."""


@needs_terraform
@each_folder
def test_format(folder: Path) -> None:
    """As Terraform writes it."""
    assert terraform.is_formatted(folder)


@each_folder
def test_names(folder: Path) -> None:
    """Every variable, local and data source is used; every address is declared; the shared parameters are there."""
    declared, named = terraform.declared(folder), terraform.named(folder, ["aws"])
    assert named - declared == set()
    assert {each for each in declared if each.startswith(("var.", "local.", "data."))} - named == set()
    assert {f"var.{name}" for name in SHARED} <= declared


@each_folder
def test_variables_are_described(folder: Path) -> None:
    """By a sentence and a type."""
    for keyword in ("variable", "output"):
        for _, name, _, body in terraform.blocks(folder, keyword):
            assert re.search(r'^  description = ".{10,}\."$', body, re.MULTILINE), name
            assert keyword == "output" or re.search(r"^  type +=", body, re.MULTILINE), name


def test_the_settings_are_tuneships() -> None:
    """Each environment variable is one of docs/settings.md."""
    documented = set(re.findall(r"`([A-Z_]+)`", (ROOT / "docs" / "settings.md").read_text()))
    for folder in FOLDERS:
        named = set(re.findall(r"\b(TUNESHIP_[A-Z_]+)\b", terraform.text_of(folder)))
        assert named <= documented


@slow
@needs_providers
@each_folder
def test_arguments(folder: Path) -> None:
    """The provider's version 6 knows every argument and block, and misses none."""
    assert list(terraform_providers.problems(folder)) == []


@slow
@needs_provider
@each_folder
def test_terraforms_own_tests(folder: Path, tmp_path: Path) -> None:
    """`terraform validate`, and `terraform test` on the module's tests, with the provider's version 5."""
    module = initialized(folder, tmp_path)
    run("validate", cwd=module)
    told = run("test", "-no-color", cwd=module).stdout
    assert re.search(r"Success! [1-9]\d* passed, 0 failed\.", told), told


@slow
@needs_provider
def test_validation_can_fail(tmp_path: Path) -> None:
    """An argument that there is not is found."""
    module = initialized(LAMBDA, tmp_path)
    altered = module / "function.tf"
    altered.write_text(altered.read_text().replace("memory_size ", "memory_sizes "))
    assert run("validate", cwd=module, check=False).returncode != 0


class Made:
    """A module that was applied in moto."""

    def __init__(self, module: Path, address: str, outputs: dict[str, Any]) -> None:
        self.module, self.address, self.outputs = module, address, outputs

    def client(self, service: str) -> Any:
        return client(service, self.address)


@pytest.fixture(scope="module")
def made_lambda(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Made]:
    """With everything that needs nothing else of an account."""
    folder = tmp_path_factory.mktemp("lambda")
    module = initialized(LAMBDA, folder)
    with running_moto(folder) as address:
        sent_to(address, module)
        wanted = {
            "image": IMAGE,
            "queue": True,
            "warm_up": True,
            "timeout_seconds": 20,
            "max_replicas": 5,
            "threads": 1,
        }
        yield Made(module, address, applied(module, **wanted))


@slow
@needs_provider
@needs_validators
class TestLambda:
    """What Lambda and its neighbours tell of a module that Terraform applied; moto plays AWS."""

    def test_the_function(self, made_lambda: Made) -> None:
        """Of the image, with its sizes, its settings and a published version."""
        function = made_lambda.client("lambda").get_function(FunctionName="tuneship", Qualifier="live")
        configuration = function["Configuration"]
        assert function["Code"]["ImageUri"] == IMAGE
        assert (configuration["PackageType"], configuration["MemorySize"], configuration["Timeout"]) == (
            "Image",
            1769,
            20,
        )
        variables = configuration["Environment"]["Variables"]
        assert variables["TUNESHIP_THREADS"] == "1"
        assert variables["TUNESHIP_SQS_ANSWERS"] == made_lambda.outputs["answers_url"]
        [alias] = made_lambda.client("lambda").list_aliases(FunctionName="tuneship")["Aliases"]
        assert (alias["Name"], alias["FunctionVersion"]) == ("live", "1")

    def test_only_the_alias_is_called(self, made_lambda: Made) -> None:
        """By the URL, the API, the queue and the rule; only services may call, and each for one resource."""
        outputs = made_lambda.outputs
        [mapping] = made_lambda.client("lambda").list_event_source_mappings()["EventSourceMappings"]
        assert mapping["FunctionArn"].endswith(":tuneship:live")
        assert mapping["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
        [rule] = made_lambda.client("events").list_targets_by_rule(Rule="tuneship-warm-up")["Targets"]
        assert rule["Arn"] == outputs["alias_arn"]
        apis = made_lambda.client("apigatewayv2")
        [api] = apis.get_apis()["Items"]
        [integration] = apis.get_integrations(ApiId=api["ApiId"])["Items"]
        assert (integration["IntegrationUri"], integration["PayloadFormatVersion"]) == (outputs["alias_arn"], "2.0")
        [route] = apis.get_routes(ApiId=api["ApiId"])["Items"]
        assert (route["RouteKey"], route["AuthorizationType"]) == ("$default", "AWS_IAM")

    def test_the_role(self, made_lambda: Made) -> None:
        """Its log group and its queues, without a wildcard in an action or a whole service."""
        iam = made_lambda.client("iam")
        [role] = [each for each in iam.list_roles()["Roles"] if "-function-" in each["RoleName"]]
        assert iam.list_attached_role_policies(RoleName=role["RoleName"])["AttachedPolicies"] == []
        statements = iam.get_role_policy(RoleName=role["RoleName"], PolicyName="own")["PolicyDocument"]["Statement"]
        rights = {each["Sid"]: (each["Action"], each["Resource"]) for each in statements}
        assert set(rights) == {"Log", "Read", "Answer"}
        assert rights["Log"][1].endswith(":log-group:/aws/lambda/tuneship:*")
        assert rights["Read"][1].endswith(":tuneship-inputs")
        assert rights["Answer"] == ("sqs:SendMessage", rights["Read"][1].replace("-inputs", "-answers"))
        assert not any("*" in action for actions, _ in rights.values() for action in actions)

    def test_the_queue(self, made_lambda: Made) -> None:
        """A message stays hidden for six timeouts; what fails five times is kept, and an alarm tells."""
        queue = made_lambda.client("sqs")
        url = made_lambda.outputs["queue_url"]
        attributes = queue.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
        assert attributes["VisibilityTimeout"] == "120"
        redrive = json.loads(attributes["RedrivePolicy"])
        assert (int(redrive["maxReceiveCount"]), redrive["deadLetterTargetArn"].split(":")[-1]) == (
            5,
            "tuneship-dead-letters",
        )

    def test_alarms_roll_a_canary_back(self, made_lambda: Made) -> None:
        """The deployment group's alarms exist, and two of them watch the newest version alone."""
        codedeploy = made_lambda.client("codedeploy")
        group = codedeploy.get_deployment_group(applicationName="tuneship", deploymentGroupName="live")
        settings = group["deploymentGroupInfo"]
        assert settings["deploymentConfigName"] == "CodeDeployDefault.LambdaCanary10Percent5Minutes"
        assert settings["autoRollbackConfiguration"]["enabled"]
        named = {each["name"] for each in settings["alarmConfiguration"]["alarms"]}
        alarms = {
            each["AlarmName"]: each for each in made_lambda.client("cloudwatch").describe_alarms()["MetricAlarms"]
        }
        assert named == {f"tuneship-{each}" for each in ("canary-errors", "canary-duration", "url-5xx", "api-5xx")}
        assert named <= alarms.keys()
        assert {f"tuneship-{each}" for each in ("errors", "throttles", "duration", "dead-letters")} <= alarms.keys()
        for name in ("canary-errors", "canary-duration"):
            dimensions = {each["Name"]: each["Value"] for each in alarms[f"tuneship-{name}"]["Dimensions"]}
            assert dimensions["ExecutedVersion"] == "1"

    def test_a_new_version_waits_for_its_deployment(self, made_lambda: Made) -> None:
        """The alias stays; the printed deployment is one that CodeDeploy accepts, from the old version to the new."""
        newer = IMAGE[:-1] + "b"
        outputs = applied(made_lambda.module, image=newer, queue=True, warm_up=True, timeout_seconds=20, threads=1)
        deployment = json.loads(outputs["deployment"])
        [resource] = json.loads(deployment["revision"]["appSpecContent"]["content"])["Resources"]
        versions = resource["live"]["Properties"]
        assert (versions["CurrentVersion"], versions["TargetVersion"]) == ("1", "2")
        assert outputs["waiting_version"] is True
        [alias] = made_lambda.client("lambda").list_aliases(FunctionName="tuneship")["Aliases"]
        assert alias["FunctionVersion"] == "1"
        assert made_lambda.client("codedeploy").create_deployment(**deployment)["deploymentId"]


@pytest.fixture(scope="module")
def made_ecs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Made]:
    """In a network of moto's."""
    folder = tmp_path_factory.mktemp("ecs")
    module = initialized(ECS, folder)
    with running_moto(folder) as address:
        ec2 = client("ec2", address)
        vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
        zones = (("10.0.1.0/24", "eu-west-1a"), ("10.0.2.0/24", "eu-west-1b"))
        subnets = [
            ec2.create_subnet(VpcId=vpc, CidrBlock=block, AvailabilityZone=zone)["Subnet"]["SubnetId"]
            for block, zone in zones
        ]
        sent_to(address, module)
        repository = "arn:aws:ecr:eu-west-1:123456789012:repository/support"
        wanted = {"image": IMAGE, "vpc_id": vpc, "subnet_ids": subnets, "repository_arn": repository, "cpus": 2}
        yield Made(module, address, applied(module, memory_mb=4096, queue_metric_namespace="Tuneship", **wanted))


@slow
@needs_provider
@needs_validators
class TestEcs:
    """What ECS and its neighbours tell of a module that Terraform applied; moto plays AWS."""

    def test_the_container(self, made_ecs: Made) -> None:
        """By its digest, as user 10001, on a root that cannot be written, with no right and no privilege."""
        task = made_ecs.client("ecs").describe_task_definition(taskDefinition="tuneship")["taskDefinition"]
        [container] = task["containerDefinitions"]
        assert container["image"] == IMAGE
        assert container["user"] == "10001:10001"
        assert container["readonlyRootFilesystem"]
        assert not container["privileged"]
        assert container["linuxParameters"]["capabilities"] == {"drop": ["ALL"]}
        assert not task.get("taskRoleArn")
        environment = {each["name"]: each["value"] for each in container["environment"]}
        assert environment["TUNESHIP_THREADS"] == "2"
        assert environment["PORT"] == str(container["portMappings"][0]["containerPort"])

    def test_the_service(self, made_ecs: Made) -> None:
        """Without public addresses; a deployment that fails is rolled back."""
        [service] = made_ecs.client("ecs").describe_services(cluster="tuneship", services=["tuneship"])["services"]
        network = service["networkConfiguration"]["awsvpcConfiguration"]
        assert network["assignPublicIp"] == "DISABLED"
        configuration = service["deploymentConfiguration"]
        assert configuration["deploymentCircuitBreaker"] == {"enable": True, "rollback": True}
        assert configuration["alarms"] == {
            "alarmNames": ["tuneship-5xx", "tuneship-duration"], "enable": True, "rollback": True,
        }  # fmt: skip

    def test_it_scales(self, made_ecs: Made) -> None:
        """By the CPU and by the server's own gauge of its queue."""
        scaling = made_ecs.client("application-autoscaling")
        policies = scaling.describe_scaling_policies(ServiceNamespace="ecs")["ScalingPolicies"]
        settings = [each["TargetTrackingScalingPolicyConfiguration"] for each in policies]
        metrics = {
            each.get("CustomizedMetricSpecification", {}).get("MetricName")
            or each["PredefinedMetricSpecification"]["PredefinedMetricType"]
            for each in settings
        }
        assert metrics == {"ECSServiceAverageCPUUtilization", "tuneship_queue_depth"}
        assert f"`{'tuneship_queue_depth'}`" in (ROOT / "docs" / "metrics.md").read_text()

    def test_only_the_load_balancer_reaches_the_tasks(self, made_ecs: Made) -> None:
        """And only the private network reaches the load balancer."""
        groups = made_ecs.client("ec2").describe_security_groups()["SecurityGroups"]
        named = {each["GroupName"].rsplit("-", 1)[0]: each for each in groups if each["GroupName"] != "default"}
        service, balancer = named["tuneship-service"], named["tuneship-load-balancer"]
        [rule] = service["IpPermissions"]
        assert [each["GroupId"] for each in rule["UserIdGroupPairs"]] == [balancer["GroupId"]]
        [rule] = balancer["IpPermissions"]
        assert [each["CidrIp"] for each in rule["IpRanges"]] == ["10.0.0.0/16"]


@slow
@needs_validators
@each_folder
def test_checkov_finds_nothing_else(folder: Path, tmp_path: Path) -> None:
    """Its checks and ours; what is accepted has a reason above."""
    values = {"image": IMAGE, "vpc_id": "vpc-1", "subnet_ids": ["subnet-1", "subnet-2"]}
    named = "lambda" if folder == LAMBDA else "ecs"
    failed = failed_checks("terraform", folder, tmp_path, values)
    assert {check.split()[0] for check in failed} == ACCEPTED[named]


@slow
@needs_validators
@each_folder
def test_checkov_refuses_a_tag(folder: Path, tmp_path: Path) -> None:
    """Our policies can fail."""
    values = {"image": IMAGE.replace("@sha256:", ":"), "vpc_id": "vpc-1", "subnet_ids": ["subnet-1", "subnet-2"]}
    failed = {check.split()[0] for check in failed_checks("terraform", folder, tmp_path, values)}
    assert failed & {"CKV2_TUNESHIP_2", "CKV2_TUNESHIP_3"}


def test_a_mirror_is_found() -> None:
    """Where a provider is, Terraform gets the folder above it."""
    folder = provider_folder()
    assert folder is None or (folder / "registry.terraform.io" / "hashicorp" / "aws").is_dir()
