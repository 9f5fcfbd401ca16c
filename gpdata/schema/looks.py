"""Which type an instruction has by how it is written."""

from __future__ import annotations

TYPE_PATTERNS = (
    ("int", "^-?[0-9]+$"),
    ("float", "^(-?[0-9]+([.][0-9]+)?([eE][+-]?[0-9]+)?|NaN|-?Infinity)$"),
    ("bool", "^(true|false)$"),
    ("null", "^null$"),
    ("json", "^[\\[{]"),
)
"""The JSON type that the text of an instruction has by its look: the first that matches, else string.

The patterns mean the same to RE2 (Arrow, DuckDB), Rust (Polars) and Java (Spark).
"""

FIRST_OF_LOOKS = "-0123456789tfnNI[{"
"""The characters that a text of another type than string begins with: who begins otherwise need not be matched."""
