"""SQS messages are answered in another queue; what may succeed later, and only that, is delivered again."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import boto3
import pytest
from tokenizers import Encoding

from deploy.measurement.process import free_port
from serving.entrypoints.aws_lambda.function import Function
from serving.entrypoints.aws_lambda.queue import MOST_BYTES, Message, Queue
from serving.entrypoints.aws_lambda.replies import InvocationError
from serving.inference.predictor import Predictor
from serving.settings.access import AccessPolicy
from serving.settings.lambda_settings import LambdaSettings
from serving.settings.limits import ServerLimits
from serving.settings.settings import ServerSettings
from serving.tasks.base import Logits

ARN = "arn:aws:sqs:eu-west-1:123456789012:requests"
ENVIRONMENT = {"AWS_ACCESS_KEY_ID": "AKIAIOSFODNN7EXAMPLE", "AWS_SECRET_ACCESS_KEY": "wJalr", "AWS_REGION": "eu-west-1"}
TEXTS = ["where is my parcel?", "refund order 17", "stop the blue lamp now 🛑"]

Received = list[dict[str, Any]]


@pytest.fixture(scope="module")
def sqs() -> Iterator[Any]:
    """A client of moto's SQS."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer("127.0.0.1", free_port(), verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield boto3.client(
        "sqs", endpoint_url=f"http://{host}:{port}", region_name="eu-west-1",
        aws_access_key_id=ENVIRONMENT["AWS_ACCESS_KEY_ID"], aws_secret_access_key="wJalr",
    )  # fmt: skip
    server.stop()


@pytest.fixture
def queue(sqs: Any, request: pytest.FixtureRequest) -> str:
    """The URL of an empty queue of the test's own."""
    return create(sqs, f"answers-{abs(hash(request.node.nodeid))}")


def create(sqs: Any, name: str, **attributes: str) -> str:
    """The new queue's URL."""
    url: str = sqs.create_queue(QueueName=name, Attributes=attributes)["QueueUrl"]
    return url


@pytest.fixture(scope="module")
def function_with(tiny_bundle: Path) -> Iterator[Callable[..., Function]]:
    """Gives a function that answers to a queue; one is started for each kind of settings."""
    started: dict[str, Function] = {}

    def make(queue: str, **settings: Any) -> Function:
        key = repr(settings)
        if key not in started:
            started[key] = Function(ServerSettings(bundle=tiny_bundle, **settings), ENVIRONMENT)
        started[key]._settings = replace(started[key]._settings, aws_lambda=LambdaSettings(queue))
        return started[key]

    yield make
    for function in started.values():
        function.close()


def event_of(*bodies: str, arn: str = ARN, groups: tuple[str, ...] = ()) -> dict[str, Any]:
    """What Lambda's poller sends: messages 0, 1, … with a correlation of the sender's."""
    return {
        "Records": [
            {
                "messageId": str(index),
                "receiptHandle": f"AQEB{index}",
                "body": body,
                "attributes": {
                    "ApproximateReceiveCount": "1",
                    "SentTimestamp": "1795460400000",
                    "SenderId": "AIDAIENQZJOLO23YVJ4VO",
                    "ApproximateFirstReceiveTimestamp": "1795460400001",
                    **({"MessageGroupId": groups[index]} if groups else {}),
                },
                "messageAttributes": {
                    "order": {
                        "stringValue": f"order-{index}",
                        "stringListValues": [],
                        "binaryListValues": [],
                        "dataType": "String",
                    }
                },
                "md5OfBody": "e4e68fb7bd0e697a0ae8f1bb342846b3",
                "eventSource": "aws:sqs",
                "eventSourceARN": arn,
                "awsRegion": "eu-west-1",
            }
            for index, body in enumerate(bodies)
        ]
    }


def body_of(text: str) -> str:
    """A request for one text."""
    return json.dumps({"inputs": text})


def failures(result: dict[str, Any]) -> list[str]:
    """Ids of the messages that are delivered again."""
    return [each["itemIdentifier"] for each in result["batchItemFailures"]]


def receive(sqs: Any, url: str) -> Received:
    """All answers in the queue, by the message that they answer."""
    found: Received = []
    options = {"MaxNumberOfMessages": 10, "MessageAttributeNames": ["All"], "AttributeNames": ["All"]}
    while messages := sqs.receive_message(QueueUrl=url, **options).get("Messages"):
        found += [{**json.loads(each["Body"]), "message": each} for each in messages]
    return sorted(found, key=lambda each: int(each["messageId"]))


def fail_on_refunds(monkeypatch: pytest.MonkeyPatch, predictor: Predictor) -> None:
    """The engine fails on a batch with the second text."""
    run_batch, (refund,) = Predictor.run_batch, predictor.encode([TEXTS[1]])[0].windows

    def fail(self: Predictor, windows: Sequence[Encoding], length: int = 0) -> list[Logits]:
        if any(window.ids == refund.ids for window in windows):
            raise RuntimeError("out of memory")
        return run_batch(self, windows, length)

    monkeypatch.setattr(Predictor, "run_batch", fail)


def test_answers(sqs: Any, queue: str, function_with: Callable[..., Function], predictor: Predictor) -> None:
    """Each message's answer is that of HTTP, and has the sender's attributes."""
    bodies = [body_of(text) for text in TEXTS * 5]
    assert function_with(queue)(event_of(*bodies)) == {"batchItemFailures": []}
    answers = receive(sqs, queue)
    assert [each["messageId"] for each in answers] == [str(index) for index in range(15)]
    for answer, text in zip(answers, TEXTS * 5, strict=True):
        (expected,) = predictor.predict([text])
        assert answer["statusCode"] == 200
        assert [each["label"] for each in answer["body"][0]] == [each["label"] for each in expected]
        scores = [each["score"] for each in answer["body"][0]]
        assert scores == pytest.approx([each["score"] for each in expected], abs=1e-5)
        attribute = answer["message"]["MessageAttributes"]["order"]
        assert attribute == {"StringValue": f"order-{answer['messageId']}", "DataType": "String"}


def test_one_batch(queue: str, function_with: Callable[..., Function], monkeypatch: pytest.MonkeyPatch) -> None:
    """The engine runs messages together."""
    sizes, run_batch = list[int](), Predictor.run_batch

    def count(self: Predictor, windows: Sequence[Encoding], length: int = 0) -> list[Logits]:
        sizes.append(len(windows))
        return run_batch(self, windows, length)

    monkeypatch.setattr(Predictor, "run_batch", count)
    function_with(queue)(event_of(*[body_of(TEXTS[0])] * 16))
    assert sum(sizes) == 16
    assert max(sizes) > 1


@pytest.mark.parametrize(
    ("body", "status", "message"),
    [
        ("where is my parcel?", 400, "not valid JSON"),
        ("", 400, "not valid JSON"),
        ('{"inputs": "\ud800"}', 400, "UTF-8"),
        ('{"text": "a"}', 422, "no `inputs`"),
        (body_of(" "), 422, "inputs is empty"),
        (json.dumps({"inputs": "x" * 100_001}), 413, "100,001 characters"),
    ],
)
def test_malformed_messages(
    sqs: Any, queue: str, function_with: Callable[..., Function], body: str, status: int, message: str
) -> None:
    """A message that can never be answered gets its refusal as the answer and is not delivered again."""
    result = function_with(queue)(event_of(body_of(TEXTS[0]), body, body_of(TEXTS[1])))
    assert failures(result) == []
    answers = receive(sqs, queue)
    assert [each["statusCode"] for each in answers] == [200, status, 200]
    assert message in answers[1]["body"]["error"]


def test_temporary_failures(
    sqs: Any,
    queue: str,
    function_with: Callable[..., Function],
    predictor: Predictor,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Messages on which the engine fails are delivered again; the others are answered."""
    fail_on_refunds(monkeypatch, predictor)
    function = function_with(queue)
    for text in TEXTS:
        result = function(event_of(body_of(text)))
        assert failures(result) == (["0"] if "refund" in text else [])
    assert [each["statusCode"] for each in receive(sqs, queue)] == [200, 200]


def test_an_api_key_is_no_reason_to_lose_messages(queue: str, tiny_bundle: Path) -> None:
    """Where callers need a key, messages wait for an operator to correct that."""
    policy = AccessPolicy(api_keys=("lambda-key-012345678",))
    settings = ServerSettings(bundle=tiny_bundle, access_policy=policy, aws_lambda=LambdaSettings(queue))
    function = Function(settings, ENVIRONMENT)
    assert failures(function(event_of(body_of("a"), body_of("b")))) == ["0", "1"]
    function.close()


def test_a_queue_that_is_full_for_a_moment(sqs: Any, queue: str, function_with: Callable[..., Function]) -> None:
    """Messages that find the engine's queue full are answered after the others."""
    from serving.batching.batch_shape import QueueLimits

    function = function_with(queue, server_limits=ServerLimits(bounds=QueueLimits(rows=8)))
    body = json.dumps({"inputs": TEXTS})
    assert failures(function(event_of(*[body] * 12))) == []
    assert [each["statusCode"] for each in receive(sqs, queue)] == [200] * 12


@pytest.mark.parametrize(
    ("size", "batches"), [(10, [10, 10, 5]), (MOST_BYTES // 2, [2] * 12 + [1]), (MOST_BYTES, [1] * 25)]
)
def test_what_is_sent_at_once(size: int, batches: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten messages, and not more than SQS takes together."""
    sent = list[int]()
    monkeypatch.setattr(Queue, "_call", lambda self, action, content: sent.append(len(content["Entries"])) or {})
    assert Queue("https://a/1/b", {}).send(Message(str(index), "x" * size, {}) for index in range(25)) == set()
    assert sent == batches


def test_no_answers_queue(function_with: Callable[..., Function]) -> None:
    """Without a place for answers no message is taken from its queue."""
    with pytest.raises(InvocationError, match="set TUNESHIP_SQS_ANSWERS"):
        function_with("")(event_of(body_of("a")))


def test_an_absent_answers_queue(
    sqs: Any, queue: str, function_with: Callable[..., Function], caplog: pytest.LogCaptureFixture
) -> None:
    """Answers that cannot be sent are computed again later; the log tells why and quotes no text."""
    with caplog.at_level(logging.ERROR):
        result = function_with(queue + "-absent")(event_of(body_of("where is it?"), "malformed"))
    assert failures(result) == ["0", "1"]
    assert "NonExistentQueue" in caplog.text or "QueueDoesNotExist" in caplog.text
    assert "where" not in caplog.text


@pytest.mark.parametrize("environment", [{}, {"AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://127.0.0.1:9/role"}])
def test_no_credentials(environment: dict[str, str], queue: str, caplog: pytest.LogCaptureFixture) -> None:
    """The log says that there are none."""
    assert Queue(queue, environment).send([Message("7", "{}", {})]) == {"7"}
    assert "no credentials" in caplog.text


class Context:
    """Of a function with so many seconds left."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds

    def get_remaining_time_in_millis(self) -> int:
        """As awslambdaric's."""
        return int(self.seconds * 1000)


def test_the_timeout_is_near(queue: str, function_with: Callable[..., Function]) -> None:
    """What is not begun in time is delivered again, and the rest is not lost with it."""
    function = function_with(queue)
    assert failures(function(event_of(body_of("a"), body_of("b")), Context(1))) == ["0", "1"]
    assert failures(function(event_of(body_of("a"), body_of("b")), Context(30))) == []


def test_fifo(
    sqs: Any, function_with: Callable[..., Function], predictor: Predictor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a FIFO queue the later messages of a failed one's group are delivered again too; answers keep their group."""
    queue = create(sqs, "answers.fifo", FifoQueue="true")
    function = function_with(queue)
    fail_on_refunds(monkeypatch, predictor)
    monkeypatch.setattr("serving.entrypoints.aws_lambda.messages.AT_ONCE", 1)  # so that no batch fails as a whole
    texts = ("where is it?", "refund order 17", "where is it?", "where is it?")
    event = event_of(*map(body_of, texts), arn=f"{ARN}.fifo", groups=("a", "b", "a", "b"))
    assert failures(function(event)) == ["1", "3"]
    answers = receive(sqs, queue)
    assert [each["messageId"] for each in answers] == ["0", "2"]
    assert {each["message"]["Attributes"]["MessageGroupId"] for each in answers} == {"a"}


def test_a_large_answer(
    sqs: Any, queue: str, function_with: Callable[..., Function], monkeypatch: pytest.MonkeyPatch
) -> None:
    """An answer that SQS would refuse becomes a refusal that tells the sizes."""
    monkeypatch.setattr("serving.entrypoints.aws_lambda.messages.MOST_BYTES", 500)
    assert failures(function_with(queue)(event_of(body_of("a"), json.dumps({"inputs": TEXTS * 9})))) == []
    small, large = receive(sqs, queue)
    assert (small["statusCode"], large["statusCode"]) == (200, 413)
    assert "SQS takes 500" in large["body"]["error"]


@pytest.mark.parametrize("record", [None, {}, {"messageId": "1"}, {"messageId": "1", "body": "a", "attributes": 7}])
def test_no_message(record: Any, queue: str, function_with: Callable[..., Function]) -> None:
    """A record that is no message is an error, whatever stands in it."""
    first = event_of(body_of("a"))["Records"]
    with pytest.raises(InvocationError, match="is no SQS message"):
        function_with(queue)({"Records": [*first, record]})
