"""Why a line is not taken: the stable codes, and what is reported with one."""

from __future__ import annotations

from dataclasses import dataclass

REJECTIONS: dict[str, str] = {
    "too_long": "the line is longer than the limit",
    "empty_line": "there is nothing on the line but white space",
    "bad_utf8": "the bytes are not UTF-8",
    "torn": "the line ends inside the JSON: a connection or a process was cut off",
    "not_json": "the line is not JSON, or holds more than one JSON value",
    "too_deep": "arrays and objects are nested deeper than the limit",
    "not_an_object": "the line is JSON, but not an object",
    "missing_field": "a field is absent without which there is no row: config-uuid, index, outcome or population",
    "duplicate_key": "config-uuid, index, outcome or population stands on the line more than once",
    "bad_field": "config-uuid, index, outcome, population or config holds a value that makes a row impossible",
    "empty_population": "the population has no individual",
}
"""Every code a line can be rejected with, and what it means; codes are never renamed."""


@dataclass(frozen=True, slots=True)
class Rejection:
    """A line that is not taken, and why.

    Parameters
    ----------
    code : str
        One of `REJECTIONS`.
    detail : str
        What was given and what is valid.
    run_uuid, generation : optional
        The line's key, as far as it could be read.
    """

    code: str
    detail: str
    run_uuid: str | None = None
    generation: int | None = None


class Rejected(Exception):
    """Raised inside `gpdata.wire` only, where a line turns out to be unusable."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(f"{code}: {detail}")
        self.code = code
        self.detail = detail
