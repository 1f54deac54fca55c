"""How many requests a replica holds: pure, from measured times.

arrivals       Poisson arrivals
service_times  seconds of an engine call by rows and tokens
simulation     the server as discrete events, with its own scheduler
replicas       the highest rate at a latency target, replicas of a load
"""
