"""The CloudFormation that AWS makes of `deploy/lambda/template.yaml`, with its parameters filled in."""

from __future__ import annotations

import functools
import json
from pathlib import Path
from typing import Any

import yaml

from tests.deploy.validators import validator
from tests.paths import ROOT

TEMPLATE = ROOT / "deploy" / "lambda" / "template.yaml"
IMAGE = f"123456789012.dkr.ecr.eu-west-1.amazonaws.com/support@sha256:{'a' * 64}"
EVERYTHING = {
    "Queue": "true",
    "WarmUp": "true",
    "FunctionUrlAuthorization": "NONE",
    "DomainName": "support.example.org",
    "CertificateArn": "arn:aws:acm:eu-west-1:123456789012:certificate/00000000-0000-0000-0000-000000000000",
    "BasePath": "support",
    "ListenerArn": "arn:aws:elasticloadbalancing:eu-west-1:123456789012:listener/app/all/1/2",
    "AlarmTopicArn": "arn:aws:sns:eu-west-1:123456789012:alarms",
    "MinReplicas": 2,
    "MaxReplicas": 20,
    "Threads": 1,
    "CorsOrigins": "https://example.org",
    "AllowedHosts": "support.example.org",
    "OtlpEndpoint": "http://collector:4318",
    "BundleDigest": "b" * 64,
}
"""Values that switch every part on."""

Resource = dict[str, Any]


class _Loader(yaml.SafeLoader):
    """Reads ``!Ref`` and its kind in their long form."""


def _intrinsic(loader: yaml.SafeLoader, suffix: str, node: yaml.Node) -> dict[str, Any]:
    if isinstance(node, yaml.ScalarNode):
        value: Any = loader.construct_scalar(node)
    elif isinstance(node, yaml.SequenceNode):
        value = loader.construct_sequence(node, deep=True)
    else:
        raise TypeError(node)
    return {suffix if suffix in {"Ref", "Condition"} else f"Fn::{suffix}": value}


_Loader.add_multi_constructor("!", _intrinsic)


@functools.cache
def source() -> dict[str, Any]:
    """The template as it lies there; read it, never write into it."""
    content: dict[str, Any] = yaml.load(TEMPLATE.read_text(encoding="utf-8"), _Loader)
    return content


def transforms(*parameters: dict[str, str | int]) -> list[dict[str, Any]]:
    """What the SAM transform makes of it, for each set of parameters."""
    filled = json.dumps([{"Image": IMAGE, **each} for each in parameters])
    told = validator("python", Path(__file__).parent / "sam_transform.py", TEMPLATE, filled)
    assert told.returncode == 0, told.stderr
    made: list[dict[str, Any]] = json.loads(told.stdout)
    return made


@functools.cache
def transformed() -> dict[str, Any]:
    """The same, with the parameters' defaults."""
    [made] = transforms({})
    return made


def stack(**parameters: str | int) -> dict[str, Resource]:
    """The resources that CloudFormation then makes: conditions decided, parameters and mappings put in."""
    template = transformed()
    defaults = {name: each.get("Default") for name, each in template["Parameters"].items()}
    values = {**defaults, "Image": IMAGE, **parameters}
    resolve = functools.partial(_resolved, template=template, values=values)
    made = {
        name: each for name, each in template["Resources"].items() if resolve({"Condition": each.get("Condition", "")})
    }
    return {
        name: {"Type": each["Type"], "Properties": resolve(each.get("Properties", {}))} for name, each in made.items()
    }


def of_type(resources: dict[str, Resource], kind: str) -> list[dict[str, Any]]:
    """The properties of all of a type."""
    return [each["Properties"] for each in resources.values() if each["Type"] == kind]


def _resolved(node: Any, template: dict[str, Any], values: dict[str, Any]) -> Any:
    """A value with its conditions, parameters and mappings looked up; what names a resource stays."""
    resolve = functools.partial(_resolved, template=template, values=values)
    match node:
        case {"Condition": str() as name}:
            return not name or resolve(template["Conditions"][name])
        case {"Fn::Equals": [left, right]}:
            return str(resolve(left)) == str(resolve(right))
        case {"Fn::Not": [condition]}:
            return not resolve(condition)
        case {"Fn::If": [name, yes, no]}:
            return resolve(yes if resolve({"Condition": name}) else no)
        case {"Fn::FindInMap": [name, *keys]}:
            first, second = map(resolve, keys)
            return template["Mappings"][name][str(first)][second]
        case {"Fn::Select": [index, choices]}:
            return resolve(choices[index])
        case {"Ref": name} if name in values:
            return values[name]
        case dict():
            resolved = {key: resolve(value) for key, value in node.items()}
            return {key: value for key, value in resolved.items() if value != {"Ref": "AWS::NoValue"}}
        case list():
            return [value for value in map(resolve, node) if value != {"Ref": "AWS::NoValue"}]
    return node
