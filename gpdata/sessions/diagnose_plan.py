"""What Spark's plan says of the rows that it moves: read from its text, which classic and Connect both give."""

from __future__ import annotations

import contextlib
import io
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

_HASHES = re.compile(r"\b(?:hash|xxhash64|md5|sha1?|sha2|crc32|murmur3_hash)\(")
_ATTRIBUTE = re.compile(r"([\w.\-/ ]*\w)#(\d+)L?")
_EXCHANGE = re.compile(r"Exchange (\w+)partitioning\((.*), (\d+)\), (\w+)")
_PYTHON = re.compile(
    r"\b(?:BatchEvalPython|ArrowEvalPython|MapInPandas|MapInArrow|PythonMapInArrow|FlatMapGroups\w+)\b"
)
_PRODUCT = re.compile(r"\b(?:CartesianProduct|BroadcastNestedLoopJoin)\b")


@dataclass(frozen=True, slots=True)
class Shuffle:
    """One movement of rows between partitions, by a key.

    Parameters
    ----------
    columns : tuple of str
        The columns that decide where a row goes; behind a hash, those that were hashed.
    partitions : int
        How many partitions there are afterwards, before Spark joins small ones.
    hashed : bool
        Whether the key is itself a hash (or a remainder of one), which Spark hashes again.
    asked : bool
        Whether somebody asked for it with `repartition`.
    again : bool
        Whether the rows are moved once more after it.
    """

    columns: tuple[str, ...]
    partitions: int
    hashed: bool
    asked: bool
    again: bool


@dataclass(frozen=True, slots=True)
class Plan:
    """What is read from a plan.

    Parameters
    ----------
    shuffles : tuple of Shuffle
        From the last to the first, as the plan is written.
    python : bool
        Whether rows go through Python on the executors.
    product : bool
        Whether each row of one side meets each of the other.
    """

    shuffles: tuple[Shuffle, ...]
    python: bool
    product: bool


def explained(frame: Any, mode: str = "simple") -> str:
    """Return the text of a frame's plan; nothing is run.

    Parameters
    ----------
    frame : pyspark.sql.DataFrame
        Classic or Connect.
    mode : str
        As `DataFrame.explain` has it.
    """
    text = io.StringIO()
    with contextlib.redirect_stdout(text):
        frame.explain(mode=mode)
    return text.getvalue()


def read_plan(text: str) -> Plan:
    """Read a plan's text.

    Parameters
    ----------
    text : str
        What `explain` prints in its simple mode.

    Returns
    -------
    Plan
        What it says of the movement of rows.

    Examples
    --------
    >>> plan = read_plan('''+- Exchange hashpartitioning(h#3, 16), REPARTITION_BY_NUM, [plan_id=1]
    ...    +- Project [run#1, (hash(run#1, 42) % 16) AS h#3]''')
    >>> plan.shuffles
    (Shuffle(columns=('run',), partitions=16, hashed=True, asked=True, again=False),)
    """
    lines = text.splitlines()
    made = {name: expression for line in lines for name, expression in _aliases(line)}
    shuffles = []
    above: list[tuple[int, bool]] = []
    for line in lines:
        depth = len(line) - len(line.lstrip(" :+-"))
        above = [(at, moves) for at, moves in above if at < depth]
        found = _EXCHANGE.search(line)
        if found and found[1] in ("hash", "range"):
            key = _unfolded(found[2], made)
            shuffles.append(
                Shuffle(
                    columns=tuple(dict.fromkeys(name.strip() for name, number in _ATTRIBUTE.findall(key))),
                    partitions=int(found[3]),
                    hashed=found[1] == "hash" and bool(_HASHES.search(key)),
                    asked=found[4].startswith("REPARTITION"),
                    again=any(moves for _, moves in above),
                )
            )
        above.append((depth, bool(re.search(r"\bExchange\b", line)) and "BroadcastExchange" not in line))
    return Plan(tuple(shuffles), bool(_PYTHON.search(text)), bool(_PRODUCT.search(text)))


def _aliases(line: str) -> Iterator[tuple[str, str]]:
    """Yield the names that a line of the plan gives to expressions, each with its expression."""
    _, bracket, rest = line.partition("[")
    if bracket and " AS " in rest:
        for part in _parts(rest):
            expression, given, name = part.rpartition(" AS ")
            if given:
                yield name.strip(), expression


def _parts(text: str) -> Iterator[str]:
    """Split text at the commas that are in no bracket, up to the bracket that ends it."""
    depth, start = 0, 0
    for at, letter in enumerate(text):
        if letter in "([":
            depth += 1
        elif letter in ")]":
            depth -= 1
        if depth < 0 or (letter == "," and depth == 0):
            yield text[start:at]
            start = at + 1
        if depth < 0:
            return


def _unfolded(key: str, made: dict[str, str], seen: frozenset[str] = frozenset()) -> str:
    """Put the expressions in the place of those names that stand for a hash; what is no hash keeps its name."""

    def put(match: re.Match[str]) -> str:
        name = match[0]
        if name in seen or name not in made:
            return name
        expression = made[name]
        if not _HASHES.search(expression):
            expression = _unfolded(expression, made, seen | {name})
        return f"({expression})" if _HASHES.search(expression) else name

    return re.sub(r"[\w.\-/]+#\d+L?", put, key)
