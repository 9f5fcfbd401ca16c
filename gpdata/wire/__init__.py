"""The wire: one line of a recorder's stream into rows of the canonical schema, or a rejection.

Pure: no I/O and no clock. Importer, recorder, server and Spark's tasks all read lines with it.
"""

from gpdata.wire.limits import Limits
from gpdata.wire.line import Decoded, Origin, decode
from gpdata.wire.rejection import REJECTIONS, Rejection

__all__ = ["REJECTIONS", "Decoded", "Limits", "Origin", "Rejection", "decode"]
