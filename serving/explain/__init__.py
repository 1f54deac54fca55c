"""Explanations: how much each word adds to an answer, measured by running the served graph with words masked.

explainer     from an input to its explanation (start here)
parameters    the request body and its limits
segments      the words or tokens that can be masked
masking       what replaces a masked token
attribution   occlusion and Shapley values
targets       the number that is explained, a task
schema        JSON schemas
terminal      an explanation in a terminal
"""
