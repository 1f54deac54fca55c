"""Measurement → sizes, costs and a written deployment."""
