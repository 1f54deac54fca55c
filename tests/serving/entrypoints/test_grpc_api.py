"""The Open Inference Protocol over gRPC: a real server, called by Triton's client and with plain messages."""

from __future__ import annotations

import json
import re
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
import tritonclient.grpc as triton
from tritonclient.utils import InferenceServerException

from deploy.measurement.process import free_port
from serving.entrypoints.grpc_api import messages
from serving.entrypoints.grpc_api.messages import SERVICE, message
from serving.entrypoints.grpc_api.server import STREAMS
from serving.inference.predictor import Predictor
from serving.settings.limits import DEFAULT
from tests.paths import ROOT
from tests.serving.http.middleware.pausable import PausableServer
from tests.serving.processes import environment, get, python, running, until
from tests.serving.test_imports import loaded_after

TEXTS = ["where is my parcel?", "stop it 🎉", "我的卡还没有到"]
KEY = "first-key-0123456789"


class Asked:
    """A server's two ports."""

    def __init__(self, http: PausableServer, port: int) -> None:
        self.http, self.address = http, f"127.0.0.1:{port}"
        self.channel = grpc.insecure_channel(self.address)

    def call(self, method: str, request: Any = None, **options: Any) -> Any:
        """The answer to a message; raises grpc.RpcError."""
        given = request or message(f"{method}Request")()
        reader = message(f"{method}Response").FromString
        stub = self.channel.unary_unary(f"/{SERVICE.full_name}/{method}", type(given).SerializeToString, reader)
        return stub(given, timeout=options.pop("timeout", 20), **options)

    def refusal(self, method: str, request: Any = None, **options: Any) -> Any:
        """The error of a call."""
        with pytest.raises(grpc.RpcError) as caught:
            self.call(method, request, **options)
        return caught.value


@pytest.fixture(scope="module")
def asked(tiny_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Asked]:
    """A server whose engine can be paused, with room for two windows in the queue."""
    folder, port, grpc_port = tmp_path_factory.mktemp("grpc"), free_port(), free_port()
    command = python(
        "-m", "tests.serving.http.middleware.pausable_server", folder / "gate", "serve", tiny_bundle, "--port", port
    )
    options = {"TUNESHIP_GRPC_PORT": grpc_port, "TUNESHIP_MAX_QUEUE": 2, "TUNESHIP_DRAIN_SECONDS": 0}
    with running(command, port, folder / "log", **options) as server:
        yield Asked(PausableServer(server, folder / "gate"), grpc_port)


@pytest.fixture(scope="module")
def client(asked: Asked) -> Iterator[triton.InferenceServerClient]:
    """Triton's client."""
    with triton.InferenceServerClient(asked.address) as found:
        yield found


@pytest.fixture(scope="module")
def name(predictor: Predictor) -> str:
    """The model's name."""
    return predictor.manifest.name


def infer_request(name: str, *texts: str, **more: Any) -> Any:
    """Texts in ``contents``, without raw tensors."""
    request = message("ModelInferRequest")(model_name=name, **more)
    tensor = request.inputs.add(name="text", datatype="BYTES", shape=[len(texts)])
    tensor.contents.bytes_contents.extend(text.encode() for text in texts)
    return request


def raw_tensor(texts: list[str]) -> Any:
    """Texts as Triton's client sends them."""
    found = triton.InferInput("text", [len(texts)], "BYTES")
    found.set_data_from_numpy(np.array([text.encode() for text in texts], dtype=np.object_))
    return found


@contextmanager
def waiting(asked: Asked, name: str, texts: int) -> Iterator[Any]:
    """A call that waits behind a busy engine."""
    with asked.http.busy():
        call = begin(asked, name, texts)
        asked.http.until(lambda: asked.http.waiting == texts)
        yield call


def begin(asked: Asked, name: str, texts: int) -> Any:
    """A call, without waiting for its answer."""
    reader = message("ModelInferResponse").FromString
    request = infer_request(name, *["a"] * texts)
    stub = asked.channel.unary_unary(f"/{SERVICE.full_name}/ModelInfer", type(request).SerializeToString, reader)
    return stub.future(request, timeout=60)


def test_health_and_metadata(client: triton.InferenceServerClient, predictor: Predictor, name: str) -> None:
    """Triton's client gets the health of the server, and the model's name, version and tensors."""
    version = predictor.manifest.digest[:12]
    assert client.is_server_live()
    assert client.is_server_ready()
    assert client.is_model_ready(name)
    assert client.is_model_ready(name, version)
    assert not client.is_model_ready("another")
    assert not client.is_model_ready(name, "another")
    assert list(client.get_server_metadata().extensions) == ["binary_tensor_data"]
    told = client.get_model_metadata(name)
    assert (told.name, list(told.versions), told.platform) == (name, [version], "onnxruntime_onnx")
    assert [(each.name, each.datatype, list(each.shape)) for each in told.inputs] == [("text", "BYTES", [-1])]
    assert [(each.name, each.datatype) for each in told.outputs] == [
        ("label", "BYTES"), ("score", "FP32"), ("output", "BYTES"),
    ]  # fmt: skip


def test_triton_infers(client: triton.InferenceServerClient, predictor: Predictor, name: str) -> None:
    """With raw tensors, the answers are the predictor's, and the request's id is returned."""
    found = client.infer(name, [raw_tensor(TEXTS)], request_id="17")
    assert found.get_response().id == "17"
    for row, wanted in enumerate(predictor.predict(TEXTS)):
        assert [each.decode() for each in found.as_numpy("label")[row]] == [each["label"] for each in wanted]
        assert found.as_numpy("score")[row] == pytest.approx([each["score"] for each in wanted], abs=1e-5)
        assert json.loads(found.as_numpy("output")[row])[0]["label"] == wanted[0]["label"]


def test_selected_outputs(client: triton.InferenceServerClient, name: str) -> None:
    """A request may select outputs and set parameters."""
    wanted = [triton.InferRequestedOutput("label")]
    found = client.infer(name, [raw_tensor(TEXTS)], outputs=wanted, parameters={"top_k": 1})
    assert [each.name for each in found.get_response().outputs] == ["label"]
    assert found.as_numpy("label").shape == (len(TEXTS), 1)


def test_contents(asked: Asked, predictor: Predictor, name: str) -> None:
    """A request in typed contents gets an answer in typed contents."""
    answer = asked.call("ModelInfer", infer_request(name, *TEXTS, id="a"))
    outputs = {each.name: each for each in answer.outputs}
    assert not answer.raw_output_contents
    assert (answer.model_name, answer.id) == (name, "a")
    wanted = predictor.predict(TEXTS)
    assert list(outputs["label"].shape) == [3, 3]
    labels = [each.decode() for each in outputs["label"].contents.bytes_contents]
    assert labels == [each["label"] for answer in wanted for each in answer]
    scores = [each["score"] for answer in wanted for each in answer]
    assert list(outputs["score"].contents.fp32_contents) == pytest.approx(scores, abs=1e-5)


def test_truncation_is_reported(asked: Asked, name: str) -> None:
    """A parameter of the answer says which inputs were truncated, as over REST."""
    answer = asked.call("ModelInfer", infer_request(name, "a", "refund " * 300))
    assert answer.parameters["truncated"].string_param == "1"


@pytest.mark.slow
def test_refusals(asked: Asked, name: str) -> None:
    """Errors have gRPC's status code and the server's message."""
    one_more = infer_request(name, "a")
    one_more.raw_input_contents.extend([b"", b""])
    integers = infer_request(name, "a")
    integers.inputs[0].datatype = "INT64"
    both = infer_request(name, "a")
    both.raw_input_contents.append(b"")
    twice = infer_request(name, "a")
    twice.inputs.append(twice.inputs[0])
    many_sizes = infer_request(name, "a")
    many_sizes.inputs[0].shape.extend([2**62] * 5_000)
    classes = infer_request(name, "a")
    classes.outputs.add(name="label").parameters["classification"].int64_param = 3
    parameters = infer_request(name, "a")
    for at in range(65):
        parameters.parameters[str(at)].int64_param = 1
    for request, code, words in (
        (
            infer_request(name, *[""] * 20_000),
            grpc.StatusCode.INVALID_ARGUMENT,
            "contents has 20,000 elements",
        ),
        (parameters, grpc.StatusCode.INVALID_ARGUMENT, "parameters has 65 elements; at most 64 are accepted"),
        (infer_request("another", "a"), grpc.StatusCode.NOT_FOUND, "no model is named 'another'"),
        (infer_request(name, "a", model_version="x"), grpc.StatusCode.NOT_FOUND, "has no version 'x'"),
        (infer_request(name, " "), grpc.StatusCode.INVALID_ARGUMENT, "is empty"),
        (infer_request(name, *["a"] * 129), grpc.StatusCode.INVALID_ARGUMENT, "holds 129 texts"),
        (one_more, grpc.StatusCode.INVALID_ARGUMENT, "raw_input_contents holds 2 tensors, and there are 1 inputs"),
        (both, grpc.StatusCode.INVALID_ARGUMENT, "have contents, and there are raw_input_contents; give one"),
        (twice, grpc.StatusCode.INVALID_ARGUMENT, "inputs are ['text', 'text']; this model takes ['text'], each once"),
        (many_sizes, grpc.StatusCode.INVALID_ARGUMENT, "inputs.0.shape: List should have at most 8 items"),
        (classes, grpc.StatusCode.INVALID_ARGUMENT, "outputs[0].parameters: 'classification' is unknown"),
        (integers, grpc.StatusCode.INVALID_ARGUMENT, "inputs[0].datatype is 'INT64'; texts are BYTES"),
        (message("ModelInferRequest")(model_name=name), grpc.StatusCode.INVALID_ARGUMENT, "inputs"),
        (infer_request(name, "a" * 5_000_000), grpc.StatusCode.RESOURCE_EXHAUSTED, "larger than max"),
    ):
        error = asked.refusal("ModelInfer", request)
        assert (error.code(), words in error.details()) == (code, True), error


def test_names_with_slashes(asked: Asked, predictor: Predictor, name: str) -> None:
    """A model name with slashes is an unknown model, whatever path it looks like."""
    version = predictor.manifest.digest[:12]
    for wrong in (f"{name}/ready", f"{name}/infer", f"{name}/versions/{version}", f"../models/{name}", "/"):
        assert not asked.call("ModelReady", message("ModelReadyRequest")(name=wrong)).ready
        metadata = message("ModelMetadataRequest")(name=wrong)
        for error in (asked.refusal("ModelMetadata", metadata), asked.refusal("ModelInfer", infer_request(wrong, "a"))):
            assert (error.code(), "no model is named" in error.details()) == (grpc.StatusCode.NOT_FOUND, True), error
    metadata = message("ModelMetadataRequest")(name=name, version=f"{version}/ready")
    assert asked.refusal("ModelMetadata", metadata).code() == grpc.StatusCode.NOT_FOUND


def test_long_values(asked: Asked, name: str) -> None:
    """An error's text fits into the metadata that clients accept, however long the values it quotes."""
    other_input, other_key = infer_request(name, "a"), infer_request(name, "a")
    other_input.inputs[0].name = other_input.inputs[0].datatype = "🎉" * 10_000
    other_key.parameters["我" * 10_000].int64_param = 1
    for request, code, words in (
        (infer_request("🎉" * 10_000, "a"), grpc.StatusCode.NOT_FOUND, "no model is named '🎉"),
        (infer_request(name, "a", model_version="x" * 100_000), grpc.StatusCode.NOT_FOUND, "has no version 'xx"),
        (other_input, grpc.StatusCode.INVALID_ARGUMENT, "inputs are ['🎉"),
        (other_key, grpc.StatusCode.INVALID_ARGUMENT, "parameters.我"),
    ):
        error = asked.refusal("ModelInfer", request)
        assert (error.code(), words in error.details()) == (code, True), error
        assert len(error.details()) <= 600


def test_triton_is_refused(client: triton.InferenceServerClient, name: str) -> None:
    """Triton's client raises its own exception with the server's message."""
    with pytest.raises(InferenceServerException, match="no model is named 'another'"):
        client.infer("another", [raw_tensor(TEXTS)])


def test_overload(asked: Asked, name: str) -> None:
    """With a full queue a call gets RESOURCE_EXHAUSTED and the time to retry, also for gRPC's own retries."""
    with waiting(asked, name, 1) as first:
        second = begin(asked, name, 1)
        asked.http.until(lambda: asked.http.waiting == 2)
        error = asked.refusal("ModelInfer", infer_request(name, "a"))
        assert error.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
        told = dict(error.trailing_metadata())
        assert int(told["grpc-retry-pushback-ms"]) == 1000 * int(told["retry-after"]) >= 1000
    assert [len(each.result().outputs) for each in (first, second)] == [3, 3]


@pytest.mark.slow
def test_deadline(asked: Asked, name: str) -> None:
    """A call whose deadline has passed leaves the queue and is never run."""
    ran = asked.http.ran
    with asked.http.busy():
        error = asked.refusal("ModelInfer", infer_request(name, "a"), timeout=0.3)
        assert error.code() == grpc.StatusCode.DEADLINE_EXCEEDED
        asked.http.until(lambda: asked.http.waiting == 0)
    asked.http.until(lambda: asked.http.ran == ran + 1)


def test_timeout_of_triton(asked: Asked, client: triton.InferenceServerClient, name: str) -> None:
    """So does a call whose ``timeout`` (Triton's, in microseconds) has passed; REST has it too."""
    ran = asked.http.ran
    rest = {"inputs": [{"name": "text", "shape": [1], "datatype": "BYTES", "data": ["a"]}]}
    with asked.http.busy():
        with pytest.raises(InferenceServerException, match="DEADLINE_EXCEEDED"):
            client.infer(name, [raw_tensor(["a"])], timeout=50_000)
        late = asked.http.http.post(f"/v2/models/{name}/infer", json={**rest, "parameters": {"timeout": 50_000}})
        assert (late.status_code, late.json()["error_type"]) == (504, "timeout")
        asked.http.until(lambda: asked.http.waiting == 0)
    asked.http.until(lambda: asked.http.ran == ran + 1)
    assert len(client.infer(name, [raw_tensor(["a"])], timeout=10_000_000).as_numpy("label")) == 1


def test_unsupported_options(client: triton.InferenceServerClient, name: str) -> None:
    """Triton's priorities, sequences and classes are refused, not ignored."""
    for asked_for, words in (
        ({"priority": 1}, "parameters.priority: Extra inputs"),
        ({"sequence_id": 7}, "parameters.sequence_.*: Extra inputs"),
        ({"outputs": [triton.InferRequestedOutput("label", class_count=3)]}, "'classification' is unknown"),
    ):
        with pytest.raises(InferenceServerException, match=words):
            client.infer(name, [raw_tensor(["a"])], **asked_for)


def test_cancelled(asked: Asked, name: str) -> None:
    """A cancelled call leaves the queue and is never run."""
    ran = asked.http.ran
    with waiting(asked, name, 1) as call:
        call.cancel()
        asked.http.until(lambda: asked.http.waiting == 0)
    asked.http.until(lambda: asked.http.ran == ran + 1)


def test_observed(asked: Asked, name: str) -> None:
    """A call keeps the caller's request id, and is counted under its REST route."""
    reader = message("ModelInferResponse").FromString
    request = infer_request(name, "a")
    stub = asked.channel.unary_unary(f"/{SERVICE.full_name}/ModelInfer", type(request).SerializeToString, reader)
    _, call = stub.with_call(request, metadata=[("x-request-id", "mine")], timeout=60)
    told = dict(call.trailing_metadata())
    assert told["x-request-id"] == "mine"
    assert "infer;dur=" in told["server-timing"]
    metrics = get(f"{asked.http.server.url}/metrics")[1]
    assert re.search(r'tuneship_requests_total\{.*route="/v2/models/\{model\}/infer",status="200"\} [1-9]', metrics)


def test_silent_connections(asked: Asked) -> None:
    """Connections that say nothing are bounded: a further one is closed, and HTTP's have their descriptors."""
    host, _, port = asked.address.partition(":")
    with ExitStack() as stack:
        callers = [
            stack.enter_context(socket.create_connection((host, int(port)), timeout=60))
            for _ in range(DEFAULT.max_grpc_connections + 20)
        ]
        until(lambda: sum(is_closed(each) for each in callers) >= 20)
        assert get(f"{asked.http.server.url}/readyz")[0] == 200


def test_many_calls_at_once(asked: Asked) -> None:
    """Calls that a client begins before it knows how many a connection takes are answered."""
    request = message("ServerLiveRequest")()
    with grpc.insecure_channel(asked.address, [("grpc.use_local_subchannel_pool", 1)]) as channel:
        stub = channel.unary_unary(f"/{SERVICE.full_name}/ServerLive", type(request).SerializeToString)
        calls = [stub.future(request, timeout=60, wait_for_ready=True) for _ in range(10 * STREAMS)]
        assert {call.code() for call in calls} == {grpc.StatusCode.OK}


def is_closed(connection: socket.socket) -> bool:
    """Whether the other end has closed it."""
    connection.setblocking(False)
    try:
        return not connection.recv(65536)
    except BlockingIOError:
        return False
    except ConnectionError:
        return True


@pytest.mark.slow
def test_keys(tiny_bundle: Path, tmp_path: Path, name: str) -> None:
    """API keys are in the metadata, as in HTTP's headers; health needs none, and Host names do not matter.

    At SIGTERM, accepted calls are answered.
    """
    port, grpc_port = free_port(), free_port()
    gate = tmp_path / "gate"
    command = python("-m", "tests.serving.http.middleware.pausable_server", gate, "serve", tiny_bundle)
    options = {"TUNESHIP_API_KEYS": KEY, "TUNESHIP_ALLOWED_HOSTS": "127.0.0.1 a.example", "TUNESHIP_DRAIN_SECONDS": 0}
    arguments = ["--port", str(port), "--grpc-port", str(grpc_port)]
    with running([*command, *arguments], port, tmp_path / "log", **options) as server:
        asked = Asked(PausableServer(server, gate), grpc_port)
        assert asked.call("ServerReady").ready
        assert asked.call("ServerLive").live
        both = [("x-api-key", KEY), ("x-api-key", "wrong-key-0123456789")]
        for metadata in ([], [("authorization", "Bearer wrong-key-0123456789")], both, both[::-1]):
            for method in ("ModelMetadata", "ModelReady", "ServerMetadata"):
                assert asked.refusal(method, metadata=metadata).code() == grpc.StatusCode.UNAUTHENTICATED
            error = asked.refusal("ModelInfer", infer_request(name, "a"), metadata=metadata)
            assert error.code() == grpc.StatusCode.UNAUTHENTICATED
        for key in (("authorization", f"Bearer {KEY}"), ("x-api-key", KEY)):
            assert len(asked.call("ModelInfer", infer_request(name, "a"), metadata=[key]).outputs) == 3
        gate.touch()
        answers: list[Any] = []
        late = {"metadata": [("x-api-key", KEY)]}
        caller = threading.Thread(
            target=lambda: answers.append(asked.call("ModelInfer", infer_request(name, "a"), **late))
        )
        caller.start()
        time.sleep(0.3)
        server.process.terminate()
        time.sleep(0.3)
        gate.unlink()
        caller.join(60)
        assert len(answers[0].outputs) == 3
        assert server.process.wait(60) == 0
        assert "Traceback" not in server.log.read_text()


@pytest.mark.slow
def test_port_in_use(tiny_bundle: Path, asked: Asked) -> None:
    """A port that is taken is a message that names it."""
    port = asked.address.partition(":")[2]
    result = subprocess.run(
        python("-m", "tuneship", "serve", tiny_bundle, "--port", free_port(), "--grpc-port", port),
        cwd=ROOT, env=environment(COLUMNS=200), capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert result.returncode == 1
    assert f"cannot listen on 127.0.0.1:{port}: " in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.slow
def test_without_the_packages(tiny_bundle: Path) -> None:
    """Where grpcio is missing, the message says what to install."""
    arguments = ["tuneship", "serve", str(tiny_bundle), "--port", str(free_port()), "--grpc-port", str(free_port())]
    script = f"import sys; sys.modules['grpc'] = None; import tuneship; sys.argv = {arguments}; tuneship.main()"
    result = subprocess.run(
        python("-c", script),
        cwd=ROOT, env=environment(COLUMNS=200), capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert result.returncode == 1
    assert "--grpc-port needs the extra grpc: pip install 'tuneship[grpc]'" in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.slow
def test_lazy_import() -> None:
    """Serving without the port loads neither grpcio nor protobuf."""
    loaded = loaded_after("tuneship", "serving.entrypoints.serve", "serving.http", "serving.settings.settings")
    assert "uvicorn" in loaded
    assert loaded.isdisjoint({"grpc", "google"})


def test_the_messages_are_the_published_ones() -> None:
    """Each field has the name, number and type of Triton's compiled messages."""
    from tritonclient.grpc import service_pb2

    for ours in SERVICE.file.message_types_by_name.values():
        assert_fields_known(ours, service_pb2.DESCRIPTOR.message_types_by_name[ours.name])
    assert len(SERVICE.methods) == 6


def assert_fields_known(ours: Any, published: Any) -> None:
    """Each field of a message, and of those within it, is one of the published message."""
    for field in ours.fields:
        other = published.fields_by_name[field.name]
        assert (field.number, field.type, field.is_repeated) == (other.number, other.type, other.is_repeated)
    for name, nested in ours.nested_types_by_name.items():
        assert_fields_known(nested, published.nested_types_by_name[name])


@pytest.mark.parametrize("name", ["open_inference", "health"])
def test_the_compiled_messages_are_those_of_the_proto_file(tmp_path: Path, name: str) -> None:
    """Each ``.binpb`` is what protoc makes of the ``.proto``."""
    pytest.importorskip("grpc_tools")
    folder, compiled = Path(messages.__file__).parent, tmp_path / "compiled"
    options = [f"--proto_path={folder}", f"--descriptor_set_out={compiled}"]
    subprocess.run(python("-m", "grpc_tools.protoc", *options, f"{name}.proto"), check=True)
    assert compiled.read_bytes() == (folder / f"{name}.binpb").read_bytes()
