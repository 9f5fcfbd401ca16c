"""Sweeps: one run for each cell of a grid of parameters, recorded exactly once whatever dies when."""
