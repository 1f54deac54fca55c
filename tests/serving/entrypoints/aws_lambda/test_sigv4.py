"""Requests are signed as AWS's own SDK signs them."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials as BotoCredentials

from serving.entrypoints.aws_lambda.credentials import Credentials
from serving.entrypoints.aws_lambda.sigv4 import sign


@pytest.mark.parametrize("token", ["", "IQoJb3JpZ2luX2VjE//token=="])
@pytest.mark.parametrize("body", [b"{}", '{"QueueUrl": "https://…", "é": "卡"}'.encode()])
def test_as_botocore(token: str, body: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same Authorization header."""
    now = datetime(2026, 11, 30, 9, 15, 7, tzinfo=UTC)
    monkeypatch.setattr("botocore.auth.get_current_datetime", lambda: now)
    headers = {
        "host": "sqs.eu-west-1.amazonaws.com",
        "content-type": "application/x-amz-json-1.0",
        "x-amz-target": "AmazonSQS.SendMessageBatch",
    }
    ours = sign(headers, body, Credentials("AKID", "secret/+", token), region="eu-west-1", service="sqs", now=now)
    request = AWSRequest("POST", "https://sqs.eu-west-1.amazonaws.com/", headers=headers, data=body)
    SigV4Auth(BotoCredentials("AKID", "secret/+", token or None), "sqs", "eu-west-1").add_auth(request)
    assert ours["authorization"] == request.headers["Authorization"]
    assert ours["x-amz-date"] == request.headers["X-Amz-Date"]


def test_no_secret_is_shown() -> None:
    """Neither in a log nor in a traceback."""
    assert "secret" not in repr(Credentials("AKID", "secret", "secret-token"))
