"""One extension of each kind; see docs/extensions.md."""
