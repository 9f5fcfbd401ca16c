"""A run's configuration: the columns of RUNS that it fills, and the hash that its replicates share."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gpdata.wire.lexical import Node, dump, parse, quote
from gpdata.wire.members import DUPLICATE_KEYS, duplicates_text, grouped, object_text, text_of
from gpdata.wire.rejection import Rejected
from gpdata.wire.values import timestamp, utf8

DEFAULT_SYSTEM = "clojush"
"""The only system whose lines do not name it."""

UNSCIENTIFIC = frozenset(
    {
        "random-seed",
        "seed",
        "run-uuid",
        "config-uuid",
        "label",
        "record-host",
        "training-cases",
        "sub-training-cases",
    }
)
"""Arguments that replicates of one configuration do not share; `*-log-filename` is the other kind."""

_COLUMNS = {
    "system": ("system",),
    "problem": ("problem-file", "problem"),
    "version": ("version-number",),
    "git_hash": ("git-hash",),
    "command": ("command",),
    "label": ("label",),
}
_ADDRESS = re.compile(r"(?<![\w.$])([\w.$]++)(@[0-9a-f]{1,8}(?![\w@.-])| 0x[0-9a-f]++| at 0x[0-9a-fA-F]++)")


@dataclass(frozen=True, slots=True)
class Config:
    """What a line's `config` says.

    Parameters
    ----------
    row : mapping
        The columns of RUNS that come from it.
    sha256 : str
        Hash of its canonical JSON: two lines of one run should share it.
    unfit : bool
        Whether a value of it did not fit its column.
    duplicates : bool
        Whether it held equal keys.
    """

    row: Mapping[str, Any]
    sha256: str
    unfit: bool
    duplicates: bool


def config_id(system: str, problem: str | None, arguments: Mapping[str, str]) -> str:
    """Hash a scientific configuration, so that its replicates share the hash.

    Parameters
    ----------
    system, problem : str
        The GP system and the problem.
    arguments : mapping of str to str
        Each argument as canonical JSON text.

    Returns
    -------
    str
        16 hexadecimal digits. Left out are the arguments of `UNSCIENTIFIC` and log file names; of a function,
        `ns$fn__7920@4a937d43`, what stands before `__` counts, and addresses (`f@1b2c3d4`, `f at 0x7f3c`) do not.

    Examples
    --------
    >>> one = config_id("clojush", "odd", {"random-seed": "1", "error-function": '"odd$fn__79@4a93"'})
    >>> one == config_id("clojush", "odd", {"random-seed": "2", "error-function": '"odd$fn__80@1c2d"'})
    True
    """
    scientific = {key: value for key, value in arguments.items() if _is_scientific(key)}
    problem_text = "null" if problem is None else quote(problem)
    text = f"[{quote(system)},{problem_text},{object_text(scientific)}]"
    return hashlib.sha256(_ADDRESS.sub(_without_address, text).encode()).hexdigest()[:16]


def _is_scientific(argument: str) -> bool:
    name = argument.replace("_", "-")
    return name not in UNSCIENTIFIC and not name.endswith("-log-filename")


def _without_address(match: re.Match[str]) -> str:
    name = match[1]
    return name if match[2].startswith(" at") else name.partition("__")[0]


def read_config(text: bytes, depth: int) -> Config:
    """Read a line's `config`.

    Parameters
    ----------
    text : bytes
        JSON text.
    depth : int
        The most arrays and objects that may be open in it.

    Returns
    -------
    Config
        An absent config is `null`, and read as `{}`.

    Raises
    ------
    Rejected
        `bad_field` where it is neither an object nor null; `too_deep`.
    """
    node = parse(text_of(text), depth)
    if node is None:
        node = ()
    if not isinstance(node, tuple):
        raise Rejected("bad_field", f"config is {dump(node)[:60]}; valid is an object")
    fields, repeated = grouped(node)
    left: dict[str, str] = {}
    arguments = _Arguments(fields.pop("argmap", None))
    row: dict[str, Any] = {"config": list(arguments.texts.items())}
    unfit = arguments.unfit
    if arguments.left is not None:
        left["argmap"] = arguments.left

    row["started_at"], fits = timestamp(fields.get("start-time"))
    unfit |= not fits
    if fits:
        fields.pop("start-time", None)
    for name, keys in _COLUMNS.items():
        row[name] = arguments.label if name == "label" else None
        for key in keys:
            value = fields.pop(key, None)
            if type(value) is str and row[name] is None:
                row[name], fits = utf8(value)
            else:
                fits = value is None or (type(value) is str and value == row[name])
            if not fits:
                left[key] = dump(value)
                unfit = True
    if row["system"] is None:
        row["system"] = DEFAULT_SYSTEM
    row["config_id"] = config_id(row["system"], row["problem"], arguments.texts)

    left |= {key: dump(value) for key, value in fields.items()}
    if repeated:
        left[DUPLICATE_KEYS] = _duplicates(repeated)
    row["extra"] = object_text(left) if left else None
    sha256 = hashlib.sha256(dump(node, sort_keys=True).encode()).hexdigest()
    return Config(row, sha256, unfit, bool(repeated) or arguments.duplicates)


class _Arguments:
    """What `config.argmap` says."""

    def __init__(self, node: Node) -> None:
        fields, repeated = grouped(node) if isinstance(node, tuple) else ({}, {})
        texts = {key: dump(value, sort_keys=True) for key, value in fields.items()}
        left = {key: text for key, text in texts.items() if not utf8(key)[1]}
        self.texts = {key: text for key, text in texts.items() if key not in left}
        self.unfit = bool(left) or not isinstance(node, tuple | None)
        self.duplicates = bool(repeated)
        if repeated:
            left[DUPLICATE_KEYS] = _duplicates(repeated)
        self.left = object_text(left) if left else None
        """What no column holds of it, as JSON text."""
        if not isinstance(node, tuple | None):
            self.left = dump(node)
        label = fields.get("label")
        self.label = utf8(label)[0] if type(label) is str else None


def _duplicates(repeated: dict[str, list[Node]]) -> str:
    return duplicates_text({key: [dump(value) for value in values] for key, values in repeated.items()})
