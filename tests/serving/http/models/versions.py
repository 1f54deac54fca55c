"""Versions of a bundle, and an app that is asked while they change."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import httpx
from starlette.applications import Starlette

from tests.bundles import forge, manifest_of

TEXTS = ["where is my parcel?", "refund order 17"]


def relabelled(source: Path, target: Path) -> Path:
    """A sound version of a bundle whose every label is marked, so that an answer tells which version gave it."""
    manifest = manifest_of(source)
    rows = [json.loads(line) for line in (source / "golden.jsonl").read_bytes().splitlines()]
    for row in rows:
        row["outputs"] = [{**each, "label": f"{each['label']} 2"} for each in row["outputs"]]
    golden = "".join(json.dumps(row) + "\n" for row in rows).encode()
    return forge(source, target, files={"golden.jsonl": golden}, labels=[f"{label} 2" for label in manifest.labels])


def turn(link: Path, target: str) -> None:
    """Turn a link in one step, as deployments do."""
    other = link.with_name("next")
    other.symlink_to(target)
    other.rename(link)


def serve(app: Starlette, scenario: Any) -> None:
    """Run a scenario against the app, its lifespan included."""

    async def main() -> None:
        transport = httpx.ASGITransport(app)
        async with (
            asyncio.timeout(60),
            app.router.lifespan_context(app),
            httpx.AsyncClient(transport=transport, base_url="http://tuneship") as http,
        ):
            await scenario(http)

    asyncio.run(main())
