"""Gathering what concurrent requests ask for into calls of the engine.

policy    which rows run next: pure, moments are arguments
batcher   callers on the event loop, the engine on threads of its own
shape     what one call of an engine takes, and how much may wait
pace      how fast the engine works, as measured
observing what is told to whoever counts
errors    why a good request is not answered
"""
