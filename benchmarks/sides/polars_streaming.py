"""Polars by hand, collected by its streaming engine."""

from __future__ import annotations

from benchmarks.sides.polars_by_hand import Files, answers, prepare

__all__ = ["ANSWERS", "Files", "prepare"]

ANSWERS = answers("streaming")
