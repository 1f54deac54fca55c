"""Concurrent requests become batches for the engine.

scheduler    which rows run next: pure policy
turns        which caller's row runs next, where rows run in slices
lanes        ordinary rows, and those of explanations, which give way
line         explanations one after another, admitted with their whole cost
batcher      callers on the event loop, the engine on its threads
batch_shape  limits of a batch and of the queue
errors       why a valid request gets no answer
"""
