"""Engines: a snapshot of a lake as native frames."""
