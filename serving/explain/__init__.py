"""Explanations: what each word adds to an answer, measured by running the graph with words masked.

explainer     from an input to its explanation: start here
parameters    the request body and its limits
segments      words and tokens
masking       what replaces them
attribution   occlusion and Shapley values
targets       the number that is explained
schema        JSON schemas
terminal      colours and bars
"""
