"""The image, built and run by Docker: it serves over HTTP and on Lambda, is small and needs no privileges."""

from __future__ import annotations

import json
import subprocess
import threading
import urllib.request
from pathlib import Path

import pytest

from deploy.image.bom import create_image_bom
from deploy.image.build import create_labels, inspect, read_contents
from deploy.measurement.process import free_port
from serving.bundle.bundle import Bundle
from serving.inference.predictor import Predictor
from stores.push import push
from stores.targets import parse_target
from tests.containers import build_image, container, docker, wait_until_ready, why_no_engine
from tests.deploy.image.test_bom import parsed
from tests.deploy.image.test_lock import hashes_of
from tests.serving.runtime_api import RuntimeApi
from tests.serving.test_lambda_handler import function_url
from tests.stores.registry import running_registry

pytestmark = [pytest.mark.docker, pytest.mark.skipif(bool(why_no_engine()), reason=why_no_engine() or "engine")]

TEXTS = ["where is my parcel?", "refund order 17", "stop the blue lamp now 🛑"]


@pytest.fixture(scope="module")
def slim(tiny_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The image with the tiny bundle, built once."""
    return build_image(tiny_bundle, tmp_path_factory.mktemp("image"))


@pytest.fixture(scope="module")
def distroless(tiny_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The same without shell and package manager."""
    return build_image(tiny_bundle, tmp_path_factory.mktemp("distroless"), "--build-arg", "FINAL=distroless")


@pytest.fixture(params=["slim", "distroless"])
def image(request: pytest.FixtureRequest) -> str:
    """Either of them."""
    built: str = request.getfixturevalue(request.param)
    return built


def layers_of(image: str) -> list[str]:
    """The digests of its layers' contents."""
    layers: list[str] = inspect(image)["RootFS"]["Layers"]
    return layers


def ask(port: int) -> list[list[dict[str, float]]]:
    """The server's answers to TEXTS."""
    body = json.dumps({"inputs": TEXTS}).encode()
    request = urllib.request.Request(f"http://127.0.0.1:{port}/predict", body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=60) as response:
        answers: list[list[dict[str, float]]] = json.load(response)
    return answers


def assert_same_labels_and_scores(answers: list[list[dict[str, float]]], bundle: Path) -> None:
    """The answers are the predictor's, within the rounding between batch sizes."""
    expected = Predictor.open(bundle).predict(TEXTS)
    assert [[each["label"] for each in row] for row in answers] == [[each["label"] for each in row] for row in expected]
    for row, wanted in zip(answers, expected, strict=True):
        assert [each["score"] for each in row] == pytest.approx([each["score"] for each in wanted], abs=1e-5)


@pytest.mark.parametrize("mode", ["serve", "bentoml"])
def test_it_serves_with_a_read_only_root(mode: str, image: str, tiny_bundle: Path) -> None:
    """With a read-only file system and no privileges, it gives the predictor's answers."""
    port = free_port()
    options = ("--read-only", "--cap-drop", "ALL", "--security-opt", "no-new-privileges", "--env", f"PORT={port}")
    with container(*options, image=image, command=(mode,)) as name:
        wait_until_ready(port, name)
        assert_same_labels_and_scores(ask(port), tiny_bundle)


def test_it_is_not_root(image: str) -> None:
    """The process runs as a user that cannot log in."""
    assert docker("run", "--rm", image, "python", "-c", "import os; print(os.getuid(), os.getgid())") == "10001 10001"


def test_it_tells_docker_its_health(image: str) -> None:
    """The HEALTHCHECK command succeeds with a server and fails without."""
    check = json.loads(docker("image", "inspect", image, "--format", "{{json .Config.Healthcheck.Test}}"))[1:]
    port = free_port()
    with container("--env", f"PORT={port}", image=image) as name:
        wait_until_ready(port, name)
        docker("exec", name, *check)
    alone = subprocess.run(["docker", "run", "--rm", image, *check], capture_output=True, timeout=60, check=False)
    assert alone.returncode != 0


def test_it_stops_at_once_when_asked(image: str) -> None:
    """SIGTERM reaches the server itself, which exits with 0 well before Docker would kill it."""
    port = free_port()
    with container("--env", f"PORT={port}", image=image) as name:
        wait_until_ready(port, name)
        docker("kill", "--signal", "TERM", name)
        assert docker("wait", name, timeout=60) == "0"


def test_it_holds_no_training_and_no_compiler(image: str) -> None:
    """No torch, no transformers, no compiler in the final stage."""
    script = (
        "import importlib.util as u, shutil\n"
        "found = [n for n in ('torch', 'transformers', 'datasets', 'onnx', 'trainer', 'export') if u.find_spec(n)]\n"
        "found += [n for n in ('gcc', 'cc', 'g++', 'clang', 'make') if shutil.which(n)]\n"
        "print(found)"
    )
    assert docker("run", "--rm", image, "python", "-c", script) == "[]"


def test_distroless_has_no_shell_and_no_package_manager(distroless: str) -> None:
    """Its only program is Python."""
    script = (
        "import os, pathlib\n"
        "folders = [pathlib.Path(each) for each in os.environ['PATH'].split(':') + ['/bin', '/sbin', '/usr/sbin']]\n"
        "print(*sorted({path.name for folder in folders if folder.is_dir() for path in folder.iterdir()}))"
    )
    programs = docker("run", "--rm", distroless, "python", "-c", script).split()
    assert programs == ["python", "python3", "python3.11"]


def test_every_library_loads(image: str) -> None:
    """What was cut off the packages' libraries, and left out of a distroless root, is needed by none of them."""
    script = (
        "import ctypes, pathlib\n"
        "libraries = [path for path in pathlib.Path('/opt/packages').rglob('*.so*') if path.is_file()]\n"
        "for path in libraries: ctypes.CDLL(str(path), 2)\n"
        "print(len(libraries))"
    )
    assert int(docker("run", "--rm", image, "python", "-c", script)) > 50


def test_telemetry_is_off(image: str) -> None:
    """The image tells onnxruntime and BentoML not to report."""
    environment = docker("image", "inspect", image, "--format", "{{json .Config.Env}}")
    assert "ORT_DISABLE_TELEMETRY=1" in environment
    assert "BENTOML_DO_NOT_TRACK=True" in environment


def test_it_sends_traces_where_an_endpoint_is_set(image: str) -> None:
    """Traces work by environment variables alone."""
    from tests.serving.observability.receiver import Receiver

    receiver, port = Receiver(), free_port()
    threading.Thread(target=receiver.server.serve_forever, daemon=True).start()
    options = ("--read-only", "--env", f"PORT={port}", "--env", f"OTEL_EXPORTER_OTLP_ENDPOINT={receiver.url}")
    with container(*options, image=image) as name:
        wait_until_ready(port, name)
        ask(port)
        docker("stop", "--time", "20", name)
    receiver.server.shutdown()
    receiver.server.server_close()
    assert "POST /predict" in {span.name for span in receiver.spans}


@pytest.mark.parametrize("options", [(), ("--read-only", "--tmpfs", "/var/cache/tuneship:uid=10001")])
def test_it_serves_a_target(image: str, options: tuple[str, ...], tiny_bundle: Path, tmp_path: Path) -> None:
    """`TUNESHIP_BUNDLE` may name a place; what it pins arrives, or the server does not start."""
    port = free_port()
    with running_registry(tmp_path) as address:
        target = parse_target(f"oci:{address}/team/one:1.0")
        digest = push(tiny_bundle, target)
        variables = ("--env", f"PORT={port}", "--env", f"TUNESHIP_BUNDLE={target.url}#sha256=")
        pinned = (*options, *variables[:-1], f"{variables[-1]}{digest}")
        with container(*pinned, image=image) as name:
            wait_until_ready(port, name)
            ask(port)
        other = ("docker", "run", "--rm", "--network", "host", *options, *variables[:-1], f"{variables[-1]}{'0' * 64}")
        refused = subprocess.run([*other, image], capture_output=True, text=True, timeout=60, check=False)
    assert (refused.returncode, f"asked for is {'0' * 64}" in refused.stderr) == (1, True)


def test_it_verifies_its_bundle(image: str) -> None:
    """`docker run IMAGE verify` checks hashes and golden answers in the container."""
    assert "golden answers hold" in docker("run", "--rm", image, "verify")


def test_two_builds_have_the_same_layers(slim: str, tiny_bundle: Path, tmp_path: Path) -> None:
    """Of files that were written at another time, without a builder's cache."""
    assert layers_of(build_image(tiny_bundle, tmp_path, "--no-cache")) == layers_of(slim)


def test_another_bundle_moves_the_last_layer_alone(slim: str, tiny_dynamic_bundle: Path, tmp_path: Path) -> None:
    """A server that holds an image fetches no more than the model of the next."""
    *others, model = layers_of(build_image(tiny_dynamic_bundle, tmp_path))
    *same, last = layers_of(slim)
    assert others == same
    assert model != last


def test_labels_tell_what_is_inside(image: str, tiny_bundle: Path) -> None:
    """OCI's labels, and the digest of the bundle."""
    labels = inspect(image)["Config"]["Labels"]
    assert create_labels(tiny_bundle).items() <= labels.items()
    assert labels["org.opencontainers.image.licenses"] == "Apache-2.0"
    assert labels["dev.tuneship.bundle.digest"] == f"sha256:{Bundle.open(tiny_bundle).manifest.digest}"


def test_its_bill_lists_what_is_installed(image: str, tiny_bundle: Path) -> None:
    """Every package that the requirements pin, with the hash that they pin, and Debian's packages under Python."""
    bill = parsed(create_image_bom(inspect(image), read_contents(image), tiny_bundle))
    hashes = {digest for each in hashes_of("requirements-cpu.txt").values() for digest in each}
    packages = {each["name"]: each for each in bill["components"] if each.get("purl", "").startswith("pkg:pypi/")}
    assert {"onnxruntime", "bentoml", "tokenizers"} <= packages.keys()
    assert "hf-xet" not in packages
    assert {each["hashes"][0]["content"] for each in packages.values()} <= hashes
    assert {"libc6", "zlib1g"} <= {each["name"] for each in bill["components"]}


def test_an_altered_bundle_does_not_build(tiny_bundle: Path, tmp_path: Path) -> None:
    """The build fails if the bundle was altered."""
    import shutil

    bundle = Path(shutil.copytree(tiny_bundle, tmp_path / "bundle"))
    (bundle / "golden.jsonl").write_bytes((bundle / "golden.jsonl").read_bytes().replace(b"parcel", b"parsel"))
    with pytest.raises(AssertionError, match=r"golden\.jsonl was altered"):
        build_image(bundle, tmp_path)


AS_LAMBDA = (
    "--user", "12345:0", "--memory", "512m", "--memory-swap", "512m", "--tmpfs", "/tmp:size=512m", "--cap-drop", "ALL",
    "--env", "AWS_LAMBDA_FUNCTION_MEMORY_SIZE=512", "--env", "TUNESHIP_LAMBDA_INVOKE_MODE=RESPONSE_STREAM",
)  # fmt: skip
"""Any user, little memory, nothing to write to but /tmp."""


@pytest.mark.parametrize("conditions", [(), AS_LAMBDA], ids=["as built", "as Lambda"])
def test_it_is_a_lambda_function(image: str, tiny_bundle: Path, conditions: tuple[str, ...]) -> None:
    """On Lambda, with a read-only root, it answers events of the Runtime API as HTTP requests."""
    with RuntimeApi() as api:
        options = ("--read-only", *conditions, "--env", f"AWS_LAMBDA_RUNTIME_API={api.address}")
        with container(*options, image=image, command=("lambda",)):
            answers = api.invoke({"inputs": TEXTS}, timeout=120).payload
            page = api.invoke(function_url("GET", "/livez", None)).payload
    assert page["statusCode"] == 200
    assert_same_labels_and_scores(answers, tiny_bundle)
