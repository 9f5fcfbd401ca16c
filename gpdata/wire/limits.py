"""What one line may be at most."""

from __future__ import annotations

from dataclasses import dataclass

from gpdata.errors import InvalidInput
from gpdata.schema.json_schema import RUN_UUID_CHARS

MIB = 1 << 20

_LEAST_DEPTH = 16
MOST_LINE_BYTES = 512 * MIB


@dataclass(frozen=True, slots=True)
class Limits:
    """What one line may be at most; a line beyond is rejected, never cut.

    Parameters
    ----------
    line_bytes : int
        Length of the line. At most 512 MiB, so that no Arrow column outgrows its 32-bit offsets.
    depth : int
        Nesting of arrays and objects, the line's own braces included. 1,000 is where Spark's JSON reader and
        Python's own stop, so that what gpdata stores can be read by them.
    uuid_chars : int
        Length of a run's uuid.

    Raises
    ------
    InvalidInput
        When a limit is too low for any line, or too high for Arrow.

    Examples
    --------
    >>> Limits(line_bytes=1_000_000).depth
    1000
    """

    line_bytes: int = 256 * MIB
    depth: int = 1_000
    uuid_chars: int = RUN_UUID_CHARS

    def __post_init__(self) -> None:
        if not 1 <= self.line_bytes <= MOST_LINE_BYTES:
            raise InvalidInput(
                f"line_bytes={self.line_bytes}; valid is 1 to {MOST_LINE_BYTES}; "
                "record fewer individuals a line instead"
            )
        if self.depth < _LEAST_DEPTH:
            raise InvalidInput(f"depth={self.depth}; valid is {_LEAST_DEPTH} or more; leave it at its default")
        if self.uuid_chars < 1:
            raise InvalidInput(f"uuid_chars={self.uuid_chars}; valid is 1 or more; leave it at its default")


DEFAULT_LIMITS = Limits()
"""What a line may be at most where nothing else is said."""
