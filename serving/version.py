"""The version of Tuneship: here, for an image holds the code and no package metadata; pyproject.toml reads it too."""

VERSION = "0.1.0"
