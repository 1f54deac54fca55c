"""Text generation on onnxruntime: sessions run the graphs, decoding chooses the tokens, streaming makes them text."""
