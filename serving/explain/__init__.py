"""Which words an answer rests on, found with the served graph alone: it is asked again with words hidden.

wish          what a caller may ask for, and the request body
units         the words or tokens of a tokenised input that can be hidden, and where they stand in the text
hiding        what a hidden token is replaced by, and the rows that the graph runs
coalitions    which units to hide together, and what the answers say of each: occlusion, Shapley values
targets       the number that is explained, for each task
explainer     from an input to its explanation: start reading here
limits        what one explanation may cost
shown         an explanation in a terminal
schema        the answer's JSON schema
"""
