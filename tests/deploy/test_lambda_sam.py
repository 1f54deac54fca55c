"""deploy/lambda/template.yaml: AWS' own validators take it, and the stack that it makes is the one that is promised."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.deploy.cloudformation import (
    EVERYTHING,
    IMAGE,
    TEMPLATE,
    Resource,
    of_type,
    source,
    stack,
    transformed,
    transforms,
)
from tests.deploy.validators import MISSING, client, failed_checks, running_moto, validator
from tests.paths import ROOT

needs_validators = pytest.mark.skipif(bool(MISSING), reason=MISSING)
slow = pytest.mark.slow

ACCEPTED = {
    "CKV_AWS_116",  # a dead-letter queue is for callers that do not wait: the SQS queue has one of its own
    "CKV_AWS_117",  # a VPC: the function calls nothing in one
    "CKV_AWS_27",  # a key of one's own for queues: they are encrypted by the queue service's key
    "CKV_AWS_158",  # a key of one's own for log groups: they are encrypted by AWS' key
    "CKV_AWS_173",  # a key of one's own for the environment: there is no secret in it
}
"""checkov's checks that the template fails, and why."""

KNOWN_TO_MOTO = {
    "AWS::Lambda::Function",
    "AWS::Lambda::EventSourceMapping",
    "AWS::IAM::Role",
    "AWS::Logs::LogGroup",
    "AWS::SQS::Queue",
}
"""The types of the template that moto's CloudFormation makes."""


@slow
@needs_validators
def test_cfn_lint_finds_nothing() -> None:
    """Not even a warning."""
    told = validator("cfn-lint", TEMPLATE)
    assert told.returncode == 0, told.stdout


@slow
@needs_validators
def test_sam_validates_it() -> None:
    """`sam validate --lint`, the command of the docs."""
    told = validator("sam", "validate", "--lint", "--template", TEMPLATE)
    assert told.returncode == 0, told.stdout + told.stderr


@slow
@needs_validators
def test_the_linter_can_fail(tmp_path: Path) -> None:
    """A property that there is not is found."""
    altered = tmp_path / "template.yaml"
    altered.write_text(TEMPLATE.read_text().replace("MemorySize:", "MemorySizes:"))
    assert validator("cfn-lint", altered).returncode != 0


def test_every_parameter_is_described_and_used() -> None:
    """What can be set has a meaning, and an effect."""
    template = source()
    text = TEMPLATE.read_text()
    for name, parameter in template["Parameters"].items():
        assert parameter["Description"]
        assert re.search(rf"!Ref {name}\b|\${{{name}}}", text), name
    groups = template["Metadata"]["AWS::CloudFormation::Interface"]["ParameterGroups"]
    assert sorted(name for group in groups for name in group["Parameters"]) == sorted(template["Parameters"])


@pytest.mark.parametrize("tag", ["support", "support:latest", "support:1@sha256:aa", "support@sha256:" + "A" * 64])
def test_a_tag_is_no_image(tag: str) -> None:
    """Only a digest says for ever what runs."""
    pattern = source()["Parameters"]["Image"]["AllowedPattern"]
    assert re.fullmatch(pattern, IMAGE)
    assert not re.fullmatch(pattern, f"123456789012.dkr.ecr.eu-west-1.amazonaws.com/{tag}")


def test_the_settings_are_tuneships() -> None:
    """Each environment variable is one of docs/settings.md."""
    documented = set(re.findall(r"`([A-Z_]+)`", (ROOT / "docs" / "settings.md").read_text()))
    variables = source()["Resources"]["Function"]["Properties"]["Environment"]["Variables"]
    assert variables.keys() <= documented


@slow
@needs_validators
def test_the_defaults_let_nobody_in() -> None:
    """The Function URL and the HTTP API take signed requests only; no queue, rule or domain is made."""
    resources = stack()
    assert [each["AuthType"] for each in of_type(resources, "AWS::Lambda::Url")] == ["AWS_IAM"]
    assert [each["AuthorizationType"] for each in of_type(resources, "AWS::ApiGatewayV2::Route")] == ["AWS_IAM"]
    assert all(each["Principal"] != "*" for each in of_type(resources, "AWS::Lambda::Permission"))
    kinds = {each["Type"] for each in resources.values()}
    assert not kinds & {"AWS::SQS::Queue", "AWS::Events::Rule", "AWS::ApiGatewayV2::DomainName"}


@slow
@needs_validators
def test_the_function_is_the_images() -> None:
    """Of the image's digest, with the sizes that were asked for."""
    [function] = of_type(stack(MemoryMb=3008, TimeoutSeconds=10, MaxReplicas=7), "AWS::Lambda::Function")
    assert function["PackageType"] == "Image"
    assert function["Code"] == {"ImageUri": IMAGE}
    assert function["ImageConfig"] == {"Command": ["lambda"]}
    assert (function["MemorySize"], function["Timeout"]) == (3008, 10)
    assert function["ReservedConcurrentExecutions"] == 7
    assert "TUNESHIP_THREADS" not in function["Environment"]["Variables"]  # they follow the memory
    [alone] = of_type(stack(), "AWS::Lambda::Function")
    assert "ReservedConcurrentExecutions" not in alone


@slow
@needs_validators
def test_what_changes_the_function_is_a_new_version() -> None:
    """So that the canary sees it."""
    changes: list[dict[str, str | int]] = [{"Image": IMAGE[:-1] + "b"}, {"MemoryMb": 2048}, {"LogFormat": "text"}]
    before, *after = map(_version, transforms({}, *changes))
    assert len({before, *after}) == 4


@slow
@needs_validators
def test_what_is_not_a_versions_makes_none() -> None:
    """Lambda refuses to publish a version that equals the last one."""
    others: list[dict[str, str | int]] = [{"TimeoutSeconds": 30}, {"MaxReplicas": 2}, {"MinReplicas": 2}]
    assert len(set(map(_version, transforms({}, *others, {"BundleDigest": "b" * 64})))) == 1


def test_every_parameter_of_a_version_makes_one() -> None:
    """The list in the template has all parameters that the function's versioned properties name, and no other."""
    function = dict(source()["Resources"]["Function"]["Properties"])
    listed = _parameters(function.pop("ImageUri"))
    for kept_by_the_function in ("FunctionName", "Description", "ReservedConcurrentExecutions", "Tags"):
        function.pop(kept_by_the_function)
    for kept_by_the_alias in ("ProvisionedConcurrencyConfig", "DeploymentPreference"):
        function.pop(kept_by_the_alias)
    assert set(listed) == {"Image", *_parameters(function)}


@slow
@needs_validators
def test_a_canary_rolls_back() -> None:
    """The alias takes a new version by CodeDeploy, which four alarms stop and undo."""
    [template] = transforms({"Deployment": "Canary10Percent10Minutes"})
    alias = template["Resources"]["FunctionAliaslive"]
    assert alias["UpdatePolicy"]["CodeDeployLambdaAliasUpdate"]["DeploymentGroupName"]["Ref"] in template["Resources"]
    [group] = of_type(template["Resources"], "AWS::CodeDeploy::DeploymentGroup")
    assert group["DeploymentConfigName"]["Fn::Sub"][1] == {"ConfigName": "Canary10Percent10Minutes"}
    assert group["AutoRollbackConfiguration"]["Enabled"]
    assert "DEPLOYMENT_STOP_ON_ALARM" in group["AutoRollbackConfiguration"]["Events"]
    named = [each["Name"]["Ref"] for each in group["AlarmConfiguration"]["Fn::If"][1]["Alarms"]]
    assert named == ["CanaryErrorsAlarm", "CanaryDurationAlarm", "UrlFailuresAlarm", "ApiFailuresAlarm"]
    for name in named[:2]:
        dimensions = {each["Name"]: each["Value"] for each in template["Resources"][name]["Properties"]["Dimensions"]}
        assert dimensions["ExecutedVersion"] == {"Fn::GetAtt": [_version(template), "Version"]}


@slow
@needs_validators
def test_everything_goes_through_the_alias() -> None:
    """URL, API, queue, rule and load balancer call `live`: nothing passes the canary by."""
    resources = stack(**EVERYTHING)
    alias = {"Ref": "FunctionAliaslive"}
    callers = [
        *(each["TargetFunctionArn"] for each in of_type(resources, "AWS::Lambda::Url")),
        *(each["IntegrationUri"] for each in of_type(resources, "AWS::ApiGatewayV2::Integration")),
        *(each["FunctionName"] for each in of_type(resources, "AWS::Lambda::EventSourceMapping")),
        *(each["FunctionName"] for each in of_type(resources, "AWS::Lambda::Permission")),
        *(target["Arn"] for each in of_type(resources, "AWS::Events::Rule") for target in each["Targets"]),
        *(target["Id"] for each in of_type(resources, _TARGETS) for target in each["Targets"]),
    ]
    assert len(callers) == 10
    assert all(caller == alias for caller in callers)


@slow
@needs_validators
@pytest.mark.parametrize("parameters", [{}, EVERYTHING], ids=["defaults", "everything"])
def test_the_role_has_no_right_too_many(parameters: dict[str, Any]) -> None:
    """It writes into its log group and, where there is a queue, reads it: no wildcard in an action or a resource."""
    resources = stack(**parameters)
    policies = {each["PolicyName"]: each for each in resources["Role"]["Properties"]["Policies"]}
    assert set(policies) == ({"logs", "queue"} if parameters else {"logs"})
    assert "ManagedPolicyArns" not in resources["Role"]["Properties"]
    for policy in policies.values():
        for statement in policy["PolicyDocument"]["Statement"]:
            assert statement["Effect"] == "Allow"
            assert not any("*" in action for action in statement["Action"])
            assert "Fn::GetAtt" in statement["Resource"]


def test_messages_stay_hidden_for_six_timeouts() -> None:
    """Which AWS asks for, as a message would be answered twice."""
    template = source()
    hidden = {name: each["Seconds"] for name, each in template["Mappings"]["Visibility"].items()}
    timeouts = template["Parameters"]["TimeoutSeconds"]["AllowedValues"]
    assert hidden == {str(timeout): 6 * timeout for timeout in timeouts}


@slow
@needs_validators
def test_a_message_that_fails_is_kept() -> None:
    """Others of its batch are done; after five failures it goes to the dead letters, and an alarm tells."""
    resources = stack(Queue="true", TimeoutSeconds=60)
    assert resources["InputQueue"]["Properties"]["VisibilityTimeout"] == 360
    assert resources["InputQueue"]["Properties"]["RedrivePolicy"]["deadLetterTargetArn"] == _arn("DeadLetterQueue")
    assert resources["QueueMapping"]["Properties"]["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
    variables = resources["Function"]["Properties"]["Environment"]["Variables"]
    assert variables["TUNESHIP_SQS_ANSWERS"] == {"Ref": "AnswersQueue"}
    dimensions = resources["DeadLettersAlarm"]["Properties"]["Dimensions"]
    assert dimensions == [{"Name": "QueueName", "Value": {"Fn::GetAtt": ["DeadLetterQueue", "QueueName"]}}]


@slow
@needs_validators
def test_streamed_answers_come_by_the_url_alone() -> None:
    """The function's setting is the URL's; an API that could not read the answers is not made."""
    resources = stack(InvokeMode="RESPONSE_STREAM")
    [url] = of_type(resources, "AWS::Lambda::Url")
    variables = resources["Function"]["Properties"]["Environment"]["Variables"]
    assert url["InvokeMode"] == variables["TUNESHIP_LAMBDA_INVOKE_MODE"] == "RESPONSE_STREAM"
    assert not [name for name in resources if name.startswith(("HttpApi", "Api"))]
    [group] = of_type(resources, "AWS::CodeDeploy::DeploymentGroup")
    assert len(group["AlarmConfiguration"]["Alarms"]) == 3


def test_snapstart_excludes_provisioned_concurrency() -> None:
    """A rule says so before anything is made, as Lambda refuses both."""
    rule = source()["Rules"]["SnapStartOrProvisioned"]
    assert rule["RuleCondition"] == {"Fn::Equals": [{"Ref": "SnapStart"}, "PublishedVersions"]}
    assert rule["Assertions"][0]["Assert"] == {"Fn::Equals": [{"Ref": "MinReplicas"}, 0]}


@slow
@needs_validators
def test_the_base_path_reaches_the_server() -> None:
    """The domain's mapping, the balancer's rule and the server's setting are one path."""
    resources = stack(**EVERYTHING)
    assert resources["DomainMapping"]["Properties"]["ApiMappingKey"] == "support"
    variables = resources["Function"]["Properties"]["Environment"]["Variables"]
    assert variables["TUNESHIP_ROOT_PATH"] == {"Fn::Sub": "/${BasePath}"}
    [condition] = resources["ListenerRule"]["Properties"]["Conditions"]
    assert condition["PathPatternConfig"]["Values"] == [{"Fn::Sub": "/${BasePath}"}, {"Fn::Sub": "/${BasePath}/*"}]
    assert "ApiMappingKey" not in stack(**{**EVERYTHING, "BasePath": ""})["DomainMapping"]["Properties"]


@slow
@needs_validators
@pytest.mark.parametrize("parameters", [{}, EVERYTHING], ids=["defaults", "everything"])
def test_every_alarm_tells_the_topic_and_every_group_ends(parameters: dict[str, Any]) -> None:
    """Alarms reach the topic where there is one; no log line is kept for ever."""
    resources = stack(**parameters)
    alarms = of_type(resources, "AWS::CloudWatch::Alarm")
    topics = [parameters["AlarmTopicArn"]] if parameters else None
    assert len(alarms) == (8 if parameters else 7)
    assert all(alarm.get("AlarmActions") == topics for alarm in alarms)
    groups = of_type(resources, "AWS::Logs::LogGroup")
    assert [group["RetentionInDays"] for group in groups] == [30, 30]


@slow
@needs_validators
def test_checkov_finds_nothing_else(tmp_path: Path) -> None:
    """Its checks and ours, with everything switched on; what is accepted has a reason above."""
    failed = failed_checks("cloudformation", _written(stack(**EVERYTHING), tmp_path), tmp_path)
    public = "CKV_AWS_258 AWS::Lambda::Url.FunctionUrl"  # that the URL is open was asked for here
    assert {check.split()[0] for check in failed - {public}} == ACCEPTED
    assert public in failed


@slow
@needs_validators
def test_checkov_refuses_a_tag(tmp_path: Path) -> None:
    """Our policy can fail."""
    resources = stack()
    resources["Function"]["Properties"]["Code"]["ImageUri"] = IMAGE.replace("@sha256:", ":")
    failed = failed_checks("cloudformation", _written(resources, tmp_path), tmp_path)
    assert "CKV2_TUNESHIP_1 AWS::Lambda::Function.Function" in failed


@slow
@needs_validators
def test_moto_makes_the_stack(tmp_path: Path) -> None:
    """What moto's CloudFormation knows of it, through CloudFormation's API, and Lambda tells what was made."""
    resources = stack(Queue="true", MaxReplicas=5, MemoryMb=2048)
    known = {name: each for name, each in resources.items() if each["Type"] in KNOWN_TO_MOTO}
    known["QueueMapping"]["Properties"]["FunctionName"] = {"Ref": "Function"}  # moto makes no alias here
    with running_moto(tmp_path) as address:
        cloudformation = client("cloudformation", address)
        body = json.dumps({"Parameters": transformed()["Parameters"], "Resources": known})
        given = [{"ParameterKey": "Image", "ParameterValue": IMAGE}]
        cloudformation.create_stack(StackName="support", TemplateBody=body, Parameters=given)
        [made] = cloudformation.describe_stacks(StackName="support")["Stacks"]
        assert made["StackStatus"] == "CREATE_COMPLETE"
        function = client("lambda", address).get_function(FunctionName="tuneship")
        assert function["Code"]["ImageUri"] == IMAGE
        assert function["Configuration"]["MemorySize"] == 2048
        [mapping] = client("lambda", address).list_event_source_mappings()["EventSourceMappings"]
        assert mapping["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
        [group] = client("logs", address).describe_log_groups(logGroupNamePrefix="/aws/lambda/")["logGroups"]
        assert group["retentionInDays"] == 30


_TARGETS = "AWS::ElasticLoadBalancingV2::TargetGroup"


def _version(template: dict[str, Any]) -> str:
    """The logical id of the one version."""
    [name] = [name for name, each in template["Resources"].items() if each["Type"] == "AWS::Lambda::Version"]
    return str(name)


def _parameters(node: Any) -> list[str]:
    """The parameters that an expression names."""
    text = json.dumps(node)
    conditions = re.findall(r'"Fn::If": \["(\w+)"', text)
    text += json.dumps([source()["Conditions"][name] for name in conditions])
    named = re.findall(r'"Ref": "(\w+)"', text) + re.findall(r"\$\{(\w+)\}", text)
    return [name for name in named if name in source()["Parameters"]]


def _arn(name: str) -> dict[str, Any]:
    return {"Fn::GetAtt": [name, "Arn"]}


def _written(resources: dict[str, Resource], folder: Path) -> Path:
    """As a template of its own."""
    path = folder / "stack.yaml"
    path.write_text(yaml.safe_dump({"AWSTemplateFormatVersion": "2010-09-09", "Resources": resources}))
    return path
