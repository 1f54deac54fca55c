"""Measurement → sizes, costs and a written deployment.

plan        the road: check, size, price, write
sizing      memory and replicas that a bundle needs
prices      the price file
costs       a million requests, by each way of billing
deployment  the values that every target takes
targets/    a target a file: its limits, its values file, its commands
folder      static files and values into an empty folder, whole or not at all
page        PLAN.md
"""
