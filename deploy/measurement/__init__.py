"""A bundle's server, started and loaded on this machine.

process      child processes: start, wait, memory, stop
load         requests over keep-alive connections
engine_times the engine alone, by rows and tokens of a batch
measure      all of it, as a `Measurement`
measurement  the record, which is written and read as JSON
"""
