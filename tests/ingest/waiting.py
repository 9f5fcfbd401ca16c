"""Waiting for a condition, for as long as a request may take."""

from functools import partial

from tests.support import until as _until

until = partial(_until, seconds=15.0)
