"""The function's role, as Lambda gives it: in variables, or with SnapStart at a local address.

https://docs.aws.amazon.com/lambda/latest/dg/snapstart-activate.html#snapstart-credentials
"""

from __future__ import annotations

import http.client
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Self
from urllib.parse import urlsplit

from serving.errors import UserError

SECONDS = 5.0


@dataclass(frozen=True)
class Credentials:
    access_key: str
    secret_key: str = field(repr=False)
    token: str = field(default="", repr=False)

    @classmethod
    def read(cls, environment: Mapping[str, str]) -> Self:
        """Of now: they expire, and every environment has its own. Raises UserError."""
        if environment.get("AWS_ACCESS_KEY_ID") and environment.get("AWS_SECRET_ACCESS_KEY"):
            return cls(
                environment["AWS_ACCESS_KEY_ID"],
                environment["AWS_SECRET_ACCESS_KEY"],
                environment.get("AWS_SESSION_TOKEN", ""),
            )
        if url := environment.get("AWS_CONTAINER_CREDENTIALS_FULL_URI"):
            return cls._fetch(url, environment.get("AWS_CONTAINER_AUTHORIZATION_TOKEN", ""))
        raise UserError("no credentials: neither AWS_ACCESS_KEY_ID nor AWS_CONTAINER_CREDENTIALS_FULL_URI is set")

    @classmethod
    def _fetch(cls, url: str, authorization: str) -> Self:
        where = urlsplit(url)
        connection = http.client.HTTPConnection(where.netloc, timeout=SECONDS)
        try:
            connection.request("GET", f"{where.path}?{where.query}", headers={"Authorization": authorization})
            content = json.loads(connection.getresponse().read())
            return cls(content["AccessKeyId"], content["SecretAccessKey"], content.get("Token", ""))
        except (OSError, http.client.HTTPException, ValueError, KeyError, TypeError) as error:
            raise UserError(f"no credentials from {where.netloc}: {type(error).__name__}") from error
        finally:
            connection.close()
