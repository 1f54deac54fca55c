"""Text generation: sessions, decoding, detokenizing.

Ours, because a proof needs transformers' tokens in every answer, also in beam search and from T5.
"""
