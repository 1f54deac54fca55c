"""The documentation site: pages of the repository → `build/site`, and the parts of pages that the code writes."""
