"""The words of a command, with what stands for a cell's values in them."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Collection, Mapping, Sequence

from gpdata.errors import InvalidInput, near

PLACES = ("seed", "run_uuid", "repeat", "server", "record_host")
"""What can stand in a command beside the parameters."""
_PLACE = re.compile(r"\{\{|\}\}|\{([A-Za-z_][\w.-]*)\}")


def words_of(command: str | Sequence[str], names: Collection[str]) -> tuple[str, ...]:
    """Return the words of a command, and refuse a place that nothing fills.

    Parameters
    ----------
    command : str or sequence of str
        The command; a text is parted as a shell does.
    names : collection of str
        The parameters.

    Raises
    ------
    InvalidInput
        There is no word, or ``{name}`` stands for nothing.

    Examples
    --------
    >>> words_of("evolve --size {size} --seed {seed}", ["size"])
    ('evolve', '--size', '{size}', '--seed', '{seed}')
    """
    try:
        words = tuple(shlex.split(command) if isinstance(command, str) else command)
    except ValueError as error:
        raise InvalidInput(f"the command {command!r} cannot be parted into words ({error}); give a list") from None
    if not words or not all(isinstance(word, str) for word in words):
        raise InvalidInput(f"the command is {command!r}; valid is a text, or a list of texts that is not empty")
    taken = sorted(set(names) & set(PLACES))
    if taken:
        raise InvalidInput(f"the parameter {taken[0]!r} has the name of a value that a sweep gives; name it otherwise")
    known = {*names, *PLACES}
    for word in words:
        for match in _PLACE.finditer(word):
            if match[1] is not None and match[1] not in known:
                raise InvalidInput(
                    f"the command has {match[0]}, but there is no such parameter: {near(match[1], known)}; "
                    "braces that mean themselves are written twice: {{x}}"
                )
    return words


def filled(words: Sequence[str], values: Mapping[str, object]) -> list[str]:
    """Put values in their places; a text stands as it is, everything else as JSON.

    Examples
    --------
    >>> filled(["--rate={rate}", "{{x}}", "--elite", "{elite}"], {"rate": 0.5, "elite": True})
    ['--rate=0.5', '{x}', '--elite', 'true']
    """
    texts = {name: value if isinstance(value, str) else json.dumps(value) for name, value in values.items()}

    def text(match: re.Match[str]) -> str:
        return match[0][0] if match[1] is None else texts[match[1]]

    return [_PLACE.sub(text, word) for word in words]
