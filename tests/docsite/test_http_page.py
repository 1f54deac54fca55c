"""docs/http.md names every path that a server has."""

from __future__ import annotations

import re

from serving.http.openapi.document import TEMPLATE
from serving.protocols import PROTOCOLS
from tests.paths import ROOT

PATHS = {path for path in (*TEMPLATE["model_paths"], *TEMPLATE["server_paths"], *PROTOCOLS) if path}
BELOW_A_VERSION = "/versions/VERSION"


def test_every_path_is_named() -> None:
    """Those of the OpenAPI document; what is below a version of a model is named once for all."""
    page = (ROOT / "docs" / "http.md").read_text()
    named = {
        re.sub(r"\{(\w+)\}", lambda name: "NAME" if name[1] == "model" else name[1].upper(), path) for path in PATHS
    }
    paths = {path.partition(BELOW_A_VERSION)[0] + path.partition(BELOW_A_VERSION)[1] for path in named}
    assert [path for path in sorted(paths) if f"{path}`" not in page] == []
