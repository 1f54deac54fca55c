"""The image's HEALTHCHECK: exits with 0 if the server of this container is ready."""

from __future__ import annotations

import sys
import urllib.request

from serving.settings.platforms import listening_port


def is_ready(port: int, seconds: float = 2) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=seconds):
            return True
    except OSError:
        return False


if __name__ == "__main__":
    sys.exit(not is_ready(listening_port()))
