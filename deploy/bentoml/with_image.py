"""The service with its image defined in Python, in place of the bentofile's sections docker and python.

bentoml build -f deploy/bentoml/bentofile.yaml
"""

from __future__ import annotations

from pathlib import Path

import bentoml

from serving.service import Tuneship

REQUIREMENTS = Path(__file__).resolve().parents[2] / "requirements.txt"
"""Read here: BentoML's ``requirements_file`` takes paths below the working directory alone."""

image = bentoml.images.Image(distro="debian", python_version="3.11", lock_python_packages=False)
image.python_packages(*REQUIREMENTS.read_text(encoding="utf-8").splitlines())
image.commands.clear()  # `bentoml build` copies the image, and puts its first command there again

Tuneship.image = image  # type: ignore[attr-defined]

__all__ = ["Tuneship"]
