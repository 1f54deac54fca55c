"""The proof: do the served answers equal those of the trained checkpoint?

`prove` is the start; `gates` has every condition, `statistics` every formula.
"""
