"""Cloud Run, SageMaker and Vertex AI: Terraform's files, Knative's, and the bodies of Vertex AI's requests."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from serving.settings.platforms import listening_port
from serving.settings.settings import ServerSettings
from tests.deploy import google_apis, terraform, terraform_providers
from tests.paths import ROOT

CHECKOV = ROOT / ".venv-validators" / "checkov" / "bin" / "checkov"
PROVIDERS = {"cloud-run": "google", "sagemaker": "aws", "vertex": "google"}
FOLDERS = [ROOT / "deploy" / name for name in PROVIDERS]

DIGEST = "a" * 64
IMAGES = {
    "cloud-run": f"europe-west1-docker.pkg.dev/team/images/tuneship@sha256:{DIGEST}",
    "sagemaker": f"123456789012.dkr.ecr.eu-west-1.amazonaws.com/tuneship@sha256:{DIGEST}",
    "vertex": f"europe-west1-docker.pkg.dev/team/images/tuneship@sha256:{DIGEST}",
}
SHARED = {"name", "image", "bundle_digest", "threads", "min_replicas", "max_replicas", "timeout_seconds"}
needs_terraform = pytest.mark.skipif(bool(terraform.MISSING), reason=terraform.MISSING or "terraform")
needs_providers = pytest.mark.skipif(bool(terraform_providers.MISSING), reason=terraform_providers.MISSING or "they")
needs_google = pytest.mark.skipif(bool(google_apis.MISSING), reason=google_apis.MISSING or "they are there")
each_folder = pytest.mark.parametrize("folder", FOLDERS, ids=lambda path: path.name)


def values_of(folder: Path, **more: Any) -> dict[str, Any]:
    """What has no default, and ``more``."""
    place = {} if folder.name == "sagemaker" else {"project": "team"}
    return {**place, "image": IMAGES[folder.name], **more}


@needs_terraform
@each_folder
def test_format(folder: Path) -> None:
    """As Terraform writes it, which parses it for that."""
    assert terraform.is_formatted(folder)


@each_folder
def test_names(folder: Path) -> None:
    """Every variable, local and data source is used; every address is declared; the shared parameters are there."""
    declared, named = terraform.declared(folder), terraform.named(folder, [PROVIDERS[folder.name]])
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


@needs_providers
@pytest.mark.slow
@each_folder
def test_arguments(folder: Path) -> None:
    """The providers know every argument and block, and miss none."""
    assert list(terraform_providers.problems(folder)) == []


@needs_providers
@pytest.mark.slow
def test_wrong_arguments_are_found(tmp_path: Path) -> None:
    """In a block within a dynamic block, too."""
    (tmp_path / "main.tf").write_text(
        """resource "google_cloud_run_v2_service" "this" {
  name = "a"

  template {
    containers {
      image = "b"
      imag  = { c = [
        "d",
      ] }

      dynamic "env" {
        for_each = {}

        content {
          value = "e"
        }
      }
    }
  }
}
"""
    )
    where = "resource google_cloud_run_v2_service this"
    assert sorted(terraform_providers.problems(tmp_path)) == [
        f"{where}.template.containers.env: lacks name",
        f"{where}.template.containers: has no argument imag",
        f"{where}: lacks location",
    ]


@needs_terraform
@pytest.mark.slow
@each_folder
@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("image", "", ""),
        ("image", "registry.example.com/tuneship:latest", "a tag is not accepted"),
        ("max_replicas", 0, "max_replicas is at least"),
        ("threads", -1, "threads is 0 to"),
        ("timeout_seconds", 0, "timeout_seconds is 1 to"),
        ("name", "Tune Ship", "name has"),
    ],
)
def test_values(folder: Path, name: str, value: Any, told: str, tmp_path: Path) -> None:
    """Terraform accepts good ones, and says of a bad one what is accepted."""
    values = values_of(folder, **({name: value} if told else {}))
    answer = terraform.evaluate(folder, ["variables.tf"], values, tmp_path / "variables")
    assert (told in answer and isinstance(answer, str)) if told else answer == {}


LEFT_TO_VARIABLES: dict[str, set[str]] = {
    "cloud-run": set(),
    "sagemaker": {"CKV_AWS_338"},  # a log is kept for a year: log_retention_days
    "vertex": {"CKV2_GCP_33"},  # a private network, which callers may not be in
}


@pytest.mark.slow
@pytest.mark.skipif(not CHECKOV.is_file(), reason="needs checkov in .venv-validators: make validators")
@each_folder
def test_checkov(folder: Path) -> None:
    """It finds nothing but what a variable decides."""
    command = [CHECKOV, "--framework", "terraform", "--directory", folder, "--skip-download", "--output", "json"]
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    told = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False, env=environment)
    report = json.loads(told.stdout)
    assert report["summary"]["parsing_errors"] == 0, told.stdout
    assert report["summary"]["passed"], told.stdout
    assert {each["check_id"] for each in report["results"]["failed_checks"]} == LEFT_TO_VARIABLES[folder.name]


def test_knatives_service_is_terraforms() -> None:
    """service.yaml has the defaults of Terraform's variables."""
    service = yaml.safe_load((ROOT / "deploy" / "cloud-run" / "service.yaml").read_text())
    defaults = {
        name: found[1]
        for _, name, _, body in terraform.blocks(ROOT / "deploy" / "cloud-run", "variable")
        if (found := re.search(r"^  default += \"?([^\"\n]*)", body, re.MULTILINE))
    }
    template = service["spec"]["template"]
    (server,) = template["spec"]["containers"]
    environment = {each["name"]: each["value"] for each in server["env"]}
    assert {
        "name": service["metadata"]["name"],
        "min_replicas": template["metadata"]["annotations"]["autoscaling.knative.dev/minScale"],
        "max_replicas": template["metadata"]["annotations"]["autoscaling.knative.dev/maxScale"],
        "concurrency": str(template["spec"]["containerConcurrency"]),
        "timeout_seconds": str(template["spec"]["timeoutSeconds"]),
        "cpus": server["resources"]["limits"]["cpu"],
        "memory_mb": server["resources"]["limits"]["memory"].removesuffix("Mi"),
    }.items() <= defaults.items()
    text = terraform.text_of(ROOT / "deploy" / "cloud-run")
    assert {*re.findall(r"^    (TUNESHIP_\w+)", text, re.MULTILINE)} == environment.keys()
    settings = ServerSettings.from_environment({**environment, "PORT": "3000"}).server_limits
    assert settings.drain_seconds + settings.grace_seconds < 10  # Cloud Run's
    assert listening_port({"PORT": str(server["ports"][0]["containerPort"])}) == 3000


@needs_google
def test_knatives_service_is_cloud_runs() -> None:
    """Its fields are those of Cloud Run's API; a wrong one would be found."""
    service = yaml.safe_load((ROOT / "deploy" / "cloud-run" / "service.yaml").read_text())
    assert list(google_apis.problems("run.v1", "Service", service)) == []
    service["spec"]["template"]["spec"] |= {"containerConcurency": 1, "timeoutSeconds": "30"}
    assert len(list(google_apis.problems("run.v1", "Service", service))) == 2


@pytest.fixture
def requests(tmp_path: Path) -> Any:
    """Gives the two bodies that Terraform makes of values."""

    def bodies(**values: Any) -> list[dict[str, Any]]:
        folder = ROOT / "deploy" / "vertex"
        made = terraform.evaluate(folder, ["variables.tf", "requests.tf"], values_of(folder, **values), tmp_path / "tf")
        assert isinstance(made, dict), made
        return [json.loads(made[name]) for name in ("model_json", "deployed_model_json")]

    return bodies


@needs_terraform
@needs_google
@pytest.mark.slow
def test_vertexs_requests(requests: Any) -> None:
    """Their fields are those of Vertex AI's API, and the server understands the variables."""
    model = "projects/1/locations/europe-west1/models/2@1"
    upload, deploy = requests(artifact_uri="gs://team/intents", threads=2, model=model, stable_deployed_model="34")
    assert list(google_apis.problems("aiplatform.v1", "GoogleCloudAiplatformV1UploadModelRequest", upload)) == []
    assert list(google_apis.problems("aiplatform.v1", "GoogleCloudAiplatformV1DeployModelRequest", deploy)) == []
    assert deploy["trafficSplit"] == {"0": 10, "34": 90}
    container = upload["model"]["containerSpec"]
    variables = {each["name"]: each["value"] for each in container["env"]}
    routes = {"AIP_HEALTH_ROUTE": container["healthRoute"], "AIP_PREDICT_ROUTE": container["predictRoute"]}
    settings = ServerSettings.from_environment({**variables, **routes})
    assert (settings.threads, settings.log.format, settings.platform.predict_route) == (2, "json", "/predict")


@needs_terraform
@pytest.mark.slow
def test_vertexs_defaults(requests: Any) -> None:
    """The bundle in the image, all requests for the new model."""
    upload, deploy = requests()
    assert "artifactUri" not in upload["model"]
    assert (deploy["trafficSplit"], deploy["deployedModel"]["serviceAccount"]) == (
        {"0": 100}, "tuneship@team.iam.gserviceaccount.com",
    )  # fmt: skip


def test_sagemakers_port() -> None:
    """The model's environment tells it, as SageMaker does not."""
    assert re.search(r"variables = merge\(\n +\{ PORT = \"8080\"", terraform.text_of(ROOT / "deploy" / "sagemaker"))


def test_no_wild_card_but_where_there_is_no_resource() -> None:
    """Of SageMaker's role: the statements on all resources have actions that know no single one."""
    text = (ROOT / "deploy" / "sagemaker" / "role.tf").read_text()
    statements = re.split(r"\n  (?:dynamic \")?statement", text)[1:]
    on_all = [each for each in statements if 'resources = ["*"]' in re.sub(" +", " ", each)]
    actions = {action for each in statements for action in re.findall(r'"([a-z0-9]+:\w*\*?\w*)"', each)}
    assert len(on_all) == 3
    assert not [each for each in actions if "*" in each]
    found = {action for each in on_all for action in re.findall(r'"([a-z0-9]+:[A-Z]\w+)"', each)}
    assert {each for each in found if not each.startswith("ec2:")} == {
        "ecr:GetAuthorizationToken", "cloudwatch:PutMetricData",
    }  # fmt: skip
