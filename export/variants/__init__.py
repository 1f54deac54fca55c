"""Variants of the fp32 graph; `registry` names them all."""
