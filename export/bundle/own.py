"""A bundle while it is made."""

from __future__ import annotations

from serving.bundle.bundle import Bundle, GraphFile


class OwnBundle(Bundle):
    """In a folder that this process wrote, and nobody else writes to.

    onnxruntime reads its graphs from their files, in a third of the memory that their bytes would take.
    """

    def read_graph(self, name: str) -> GraphFile:
        return GraphFile(name, b"", provider=self.manifest.graph.provider, path=self.root / name)
