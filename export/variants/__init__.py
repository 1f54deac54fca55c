"""Variants of the fp32 graph: the registry names them, `search` finds the fastest that holds."""
