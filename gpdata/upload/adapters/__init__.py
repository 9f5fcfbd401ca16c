"""Adapters: GP systems that are recorded without a patch, one module each, imported by name."""
