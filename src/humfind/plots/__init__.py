"""Figures, one module a notebook. Every function takes plain values and returns a matplotlib Figure."""
