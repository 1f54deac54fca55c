"""Text generation: sessions run the graphs, decoding selects tokens, a detokenizer streams their text.

The loop is ours because a proof needs transformers' tokens in every answer, beam search and T5 included.
"""
