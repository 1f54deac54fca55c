"""The proof: do the served answers equal those of the trained and evaluated checkpoint?

The reference is independent (transformers' tokenizer, the torch checkpoint). The candidate is serving's own predictor
on the bundle's files. Start reading at `prove`; `gates` has every condition, `statistics` every formula.
"""
