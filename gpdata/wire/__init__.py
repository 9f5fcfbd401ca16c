"""The wire: one line of a recorder's stream into rows of the canonical schema, or a rejection.

Pure: no I/O and no clock. Importer, recorder, server and Spark's tasks all read lines with it.
"""

from gpdata.wire.decode import Decoded, decode, decode_lines
from gpdata.wire.key import KeyFinder
from gpdata.wire.limits import Limits
from gpdata.wire.line import Origin, identify, skim
from gpdata.wire.rejection import REJECTIONS, Rejection

__all__ = [
    "REJECTIONS",
    "Decoded",
    "KeyFinder",
    "Limits",
    "Origin",
    "Rejection",
    "decode",
    "decode_lines",
    "identify",
    "skim",
]
