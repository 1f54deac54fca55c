"""Gathering what concurrent requests ask for into calls of the engine."""
