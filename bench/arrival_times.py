"""How much load the open-loop sections offer, and for how long."""

LOAD = 0.6
"""The load: a share of the highest rate that can be answered."""
DURATION = 3
"""The duration, in rounds: a high percentile needs more answers than a rate."""
