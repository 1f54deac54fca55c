"""A client's exceptions as messages."""

from __future__ import annotations

import errno

import pytest

from stores.errors import Missing, StoreError, readable
from stores.kinds.paths import explain
from stores.targets import parse_target

HERE = parse_target("s3://bucket/one")


@pytest.mark.parametrize(
    ("error", "kind", "message"),
    [
        (FileNotFoundError("bucket/one"), Missing, r"there is nothing there \(bucket/one\)"),
        (PermissionError("Forbidden"), StoreError, r"access is denied \(Forbidden\).*expired or revoked"),
        (TimeoutError("slow"), StoreError, r"cannot be reached \(slow\)"),
        (ConnectionRefusedError("nobody"), StoreError, "check the network"),
        (NotImplementedError(), StoreError, "can only be read"),
        (
            OSError(errno.ENOSPC, "No space left", "/cache/x"),
            StoreError,
            "/cache/x: no space left on device",
        ),
        (ValueError("odd\nhf_abcdefghijklmnop"), StoreError, "s3://bucket/one: odd$"),
        (RuntimeError("GET https://h/x?X-Amz-Signature=abc"), StoreError, r"https://h/x\?…$"),
    ],
)
def test_readable(error: Exception, kind: type[StoreError], message: str) -> None:
    """One line that names the target, without credentials."""
    with pytest.raises(kind, match=message), readable(HERE, explain):
        raise error


def test_a_failure_over_http_is_no_missing_file() -> None:
    """fsspec takes every failure over HTTP for a missing file; its cause tells."""

    class ClientResponseError(Exception):
        status = 403

    error = FileNotFoundError("https://h/x")
    error.__cause__ = ClientResponseError()
    with pytest.raises(StoreError, match=r"access is denied \(status 403\)"), readable(HERE, explain):
        raise error
