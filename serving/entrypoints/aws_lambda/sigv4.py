"""Signature Version 4 of a POST: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from datetime import datetime

from serving.entrypoints.aws_lambda.credentials import Credentials

ALGORITHM = "AWS4-HMAC-SHA256"


def sign(
    headers: Mapping[str, str], body: bytes, credentials: Credentials, *, region: str, service: str, now: datetime
) -> dict[str, str]:
    """The headers of a POST to ``/`` with its signature; ``headers`` have lower-case names, ``host`` among them."""
    time = now.strftime("%Y%m%dT%H%M%SZ")
    signed = {**headers, "x-amz-date": time}
    if credentials.token:
        signed["x-amz-security-token"] = credentials.token
    names = ";".join(sorted(signed))
    canonical = "".join(f"{name}:{signed[name]}\n" for name in sorted(signed))
    request = f"POST\n/\n\n{canonical}\n{names}\n{hashlib.sha256(body).hexdigest()}"
    scope = f"{time[:8]}/{region}/{service}/aws4_request"
    text = f"{ALGORITHM}\n{time}\n{scope}\n{hashlib.sha256(request.encode()).hexdigest()}"
    key = f"AWS4{credentials.secret_key}".encode()
    for part in scope.split("/"):
        key = hmac.digest(key, part.encode(), "sha256")
    signature = hmac.digest(key, text.encode(), "sha256").hex()
    given = f"Credential={credentials.access_key}/{scope}, SignedHeaders={names}, Signature={signature}"
    return {**signed, "authorization": f"{ALGORITHM} {given}"}
