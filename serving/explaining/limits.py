"""What one explanation may cost: rows of the graph, and tokens of all its rows together."""

MAX_ROWS = 256
MAX_TOKENS = 32_768
LIMITS = {"max_explain_rows": MAX_ROWS, "max_explain_tokens": MAX_TOKENS}
