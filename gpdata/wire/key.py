"""The key of a line, run and generation, told while the line passes by, without reading it as JSON.

The recorder sends the key behind the population, megabytes into a line, so what is looked for is the text
itself: where `config-uuid` stands exactly once, with `index` beside it, these are the key. Anything else is left
to `identify`, which reads the whole line; so is a line that writes a letter of the name as an escape, as no
encoder does. What the lake stores is decided by `decode` alone.
"""

from __future__ import annotations

import re

from gpdata.schema.json_schema import RUN_UUID_CHARS

_NAME = b'"config-uuid"'
_RUN = rb'"config-uuid"\s*:\s*"([^"\\\x00-\x1f]{1,%d})"' % (4 * RUN_UUID_CHARS)
_INDEX = rb'"index"\s*:\s*(0|[1-9][0-9]{0,8})'
# Side by side, with nothing but a comma between them, the two belong to the same object.
_BEHIND = re.compile(_RUN + rb"\s*,\s*" + _INDEX + rb"\s*[,}]")
_BEFORE = re.compile(_INDEX + rb"\s*,\s*" + _RUN)
_BACKSLASH = b"\\"
_ESCAPED = re.compile(rb"\\u00(?:2[dD]|6[345679eEfF]|7[58])")
"""A character of the names, written so that the names would not be found."""
_REACH = 8 * RUN_UUID_CHARS
"""Bytes around the name in which the rest is looked for; a longer stretch is left to `identify`."""


class KeyFinder:
    """Looks for the key in the pieces of one line.

    Examples
    --------
    >>> finder = KeyFinder()
    >>> for piece in (b'{"population":[],"ind', b'ex":7,"config-uuid":"r"', b',"outcome":"failure"}'):
    ...     finder.feed(piece)
    >>> finder.key()
    ('r', 7)
    """

    def __init__(self) -> None:
        self._window = b""
        self._done = 0
        """Where in the window the name was looked for last."""
        self._count = 0
        self._key: tuple[bytes, bytes] | None = None
        self._escaped = False

    def feed(self, piece: bytes | memoryview) -> None:
        """Look at the next piece."""
        self._window += piece
        if len(self._window) > 2 * _REACH:
            self._look(len(self._window) - _REACH)

    def key(self) -> tuple[str, int] | None:
        """Return run and generation at the end of the line; None where they cannot be told so."""
        self._look(len(self._window))
        if self._escaped or self._count != 1 or self._key is None:
            return None
        run, index = self._key
        try:
            run_uuid = run.decode()
        except UnicodeDecodeError:
            return None
        usable = len(run_uuid) <= RUN_UUID_CHARS and run_uuid.isprintable() and run_uuid.strip()
        return (run_uuid, int(index)) if usable else None

    def _look(self, end: int) -> None:
        """Find the names that begin before `end`, and drop what will not be needed again."""
        window = self._window
        # From behind: CPython's rfind takes half the time of its find for a name of this length.
        at = window.rfind(_NAME, self._done, end + len(_NAME) - 1)
        while at >= 0:
            self._count += 1
            self._beside(at)
            at = window.rfind(_NAME, self._done, at + 1)
        if not self._escaped and window.find(_BACKSLASH, self._done) >= 0:
            self._escaped = _ESCAPED.search(window, self._done) is not None
        kept = max(0, end - _REACH)
        self._window, self._done = window[kept:], end - kept

    def _beside(self, at: int) -> None:
        """Read the key where the name stands."""
        if (match := _BEHIND.match(self._window, at)) is not None:
            self._key = match[1], match[2]
            return
        for match in _BEFORE.finditer(self._window, max(0, at - _REACH), at + _REACH):
            if match.start(2) > at and self._window.find(_NAME, match.start()) == at:
                self._key = match[2], match[1]
