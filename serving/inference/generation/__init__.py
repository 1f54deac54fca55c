"""Text generation on onnxruntime: sessions run the graphs, decoding chooses the tokens, streaming makes them text.

onnxruntime-genai has a loop of its own, in C++. Version 0.18, tried on tiny GPT-2 and Llama models with 30 prompts
each, chose torch's tokens in every greedy answer, but by beam search in 29 and 26 of 30; and it adds 37 MB. A proof
wants them all equal, and T5 as well, so that the loop here is ours.
"""
