"""What a file's name says of its run: `{problem}-{config.parent-selection}-s{config.random-seed}.log`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from string import Formatter
from typing import Any

import msgspec

from gpdata.errors import InvalidInput

FIELDS = {
    "problem": "problem",
    "label": "label",
    "system": "system",
    "version": "version-number",
    "git_hash": "git-hash",
    "command": "command",
}
"""Each field of a pattern, and what it is on the wire; beside them `config.KEY` and `_`, which is left out."""

_CONFIG = "config."
_NUMBER = re.compile(r"-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?|true|false|null")
_PACKED = re.compile(r"\.(gz|zst|xz|bz2)$")
_VALID = f"valid are {', '.join(f'{{{name}}}' for name in FIELDS)}, {{config.KEY}}, and {{_}} for what does not count"


class UnfitName(ValueError):
    """A name does not fit the pattern."""


@dataclass(frozen=True, slots=True)
class Pattern:
    """A pattern of file names.

    Parameters
    ----------
    text : str
        As it was given: names of fields in braces, with a regular expression behind a colon where it must be told
        what fits, and everything else as it stands. A pattern with slashes is held to as many folders above the file.

    Raises
    ------
    InvalidInput
        A field is unknown or given twice, or a brace has no partner.

    Examples
    --------
    >>> pattern = Pattern("{problem}-{config.parent-selection}-s{config.random-seed}.log")
    >>> pattern.read("runs/odd-lexicase-s51.log.gz")
    {'problem': 'odd', 'argmap': {'parent-selection': 'lexicase', 'random-seed': 51}}
    """

    text: str

    def __post_init__(self) -> None:
        self._expression("+")

    def read(self, name: str) -> dict[str, Any]:
        """Return what a name says, as a configuration of the wire.

        Raises
        ------
        UnfitName
            It does not fit, or in two ways.
        """
        parts = self.text.count("/") + 1
        given = "/".join(name.replace("\\", "/").split("/")[-parts:])
        greedy, modest = self._expression("+"), self._expression("+?")
        found = None
        while True:
            found = greedy.fullmatch(given)
            if found is not None or not _PACKED.search(given):
                break
            given = _PACKED.sub("", given)
        if found is None:
            raise UnfitName(
                f"the name {given!r} does not fit the pattern {self.text!r}; mend the pattern, or leave it out"
            )
        other = modest.fullmatch(given)
        if other is not None and other.groups() != found.groups():
            raise UnfitName(
                f"the name {given!r} fits the pattern {self.text!r} in two ways, {', '.join(found.groups())} and "
                f"{', '.join(other.groups())}; say what fits a field with a regular expression: {{problem:[a-z]+}}"
            )
        return configuration(dict(zip(self._fields(), found.groups(), strict=True)))

    def _fields(self) -> list[str]:
        return [field for _, field, _, _ in self._parts() if field is not None]

    def _parts(self) -> list[tuple[str, str | None, str, str | None]]:
        try:
            return [(text, field, spec or "", kind) for text, field, spec, kind in Formatter().parse(self.text)]
        except ValueError as error:
            raise InvalidInput(f"the pattern {self.text!r} cannot be read: {error}; {_VALID}") from None

    def _expression(self, times: str) -> re.Pattern[str]:
        found, seen = [], set[str]()
        for text, field, spec, _ in self._parts():
            found.append(re.escape(text))
            if field is None:
                continue
            check_field(field, f"the pattern {self.text!r}")
            if field in seen and field != "_":
                raise InvalidInput(f"the pattern {self.text!r} names {{{field}}} twice; name it once, and write {{_}}")
            seen.add(field)
            found.append(f"({spec or f'[^/]{times}'})")
        try:
            return re.compile("".join(found))
        except re.error as error:
            raise InvalidInput(f"the pattern {self.text!r} holds no regular expression: {error}") from None


def check_field(name: str, where: str) -> None:
    """Raise where a field is none.

    Raises
    ------
    InvalidInput
        The field is unknown.
    """
    if name in FIELDS or name == "_" or (name.startswith(_CONFIG) and len(name) > len(_CONFIG)):
        return
    raise InvalidInput(f"{where} names {{{name}}}; {_VALID}")


def configuration(fields: dict[str, str]) -> dict[str, Any]:
    """Return fields as a configuration of the wire; of `config.KEY`, what reads as a number or true is one.

    Examples
    --------
    >>> configuration({"label": "7", "config.population-size": "100", "config.parent-selection": "lexicase"})
    {'label': '7', 'argmap': {'population-size': 100, 'parent-selection': 'lexicase'}}
    """
    found: dict[str, Any] = {FIELDS[name]: value for name, value in fields.items() if name in FIELDS}
    arguments = {
        name.removeprefix(_CONFIG): msgspec.json.decode(value) if _NUMBER.fullmatch(value) else value
        for name, value in fields.items()
        if name.startswith(_CONFIG)
    }
    return found | ({"argmap": arguments} if arguments else {})
