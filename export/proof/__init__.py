"""The proof: does what will be served answer as what was trained and evaluated?

The reference is independent (transformers' tokenizer, the torch checkpoint); the candidate is serving's own predictor
on the bundle's own files, with production settings. `expected` asks the reference, once; `prove` holds a variant
against it; each kind of evidence has a file of its own.
"""
