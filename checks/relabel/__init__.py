"""Rows to label again, as people's tools read them."""
