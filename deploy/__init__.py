"""Deployments: static files of each target, and `tuneship deploy plan`, which fills them in for a bundle.

measurement  a server of the bundle is started and loaded: memory, times
capacity     how many requests a replica holds: a simulation with the server's own scheduler
plan         sizes, costs, targets, the written folder
"""
