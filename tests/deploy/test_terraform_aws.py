"""deploy/lambda/terraform and deploy/ecs: Terraform takes them with AWS' own provider, and checkov finds nothing."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.deploy import terraform, terraform_providers
from tests.deploy.terraform_aws import initialized, provider_folder, run, why_no_terraform
from tests.deploy.validators import MISSING, failed_checks
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
        "CKV2_AWS_28",  # a web application firewall: the load balancer is private by default
        "CKV_AWS_158",  # log groups, as above
        "CKV_AWS_338",  # a year of logs, as above
        "CKV_AWS_91",  # access logs of the load balancer: the server writes a line for each request
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
def test_checkov_refuses_a_tag(tmp_path: Path) -> None:
    """Our policy can fail. That the service refuses one is in the module's own tests: checkov reads no jsonencode."""
    failed = failed_checks("terraform", LAMBDA, tmp_path, {"image": IMAGE.replace("@sha256:", ":")})
    assert "CKV2_TUNESHIP_2 aws_lambda_function.this" in failed


def test_a_mirror_is_found() -> None:
    """Where a provider is, Terraform gets the folder above it."""
    folder = provider_folder()
    assert folder is None or (folder / "registry.terraform.io" / "hashicorp" / "aws").is_dir()
