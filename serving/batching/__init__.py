"""Concurrent requests become batches for the engine.

scheduler    which rows run next (pure policy: the clock is an argument)
batcher      callers on the event loop, the engine on its own threads
batch_shape  what fits into one engine call, and how much may wait
timing       what observers are told
errors       why a valid request is not answered
"""
