"""What `gpdata.doctor` finds, and what each of its checks is given."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from gpdata.config import SparkEnvironment
from gpdata.sessions.cluster import Plan

State = Literal["ok", "warning", "failed"]

_UNITS = {"": 1 << 20, "b": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40, "p": 1 << 50}


@dataclass(frozen=True)
class Finding:
    """What a check found.

    Parameters
    ----------
    check : str
        What was looked at, in a word or two.
    state : str
        "ok"; "warning": it works, and may not for long; "failed".
    cause : str
        What is so.
    mend : str
        What to do; empty where nothing is to be done.
    """

    check: str
    state: State
    cause: str
    mend: str = ""


@dataclass(frozen=True)
class Situation:
    """What a check looks at.

    Parameters
    ----------
    plan : Plan
        What a session would be started with.
    effective : mapping of str to str
        The plan's settings over those of spark-defaults.conf.
    environment : SparkEnvironment
        What the site says.
    session : SparkSession or None
        The one that lives in this process.
    lake : str
        The lake.
    must_lake : bool
        Whether the lake was asked for; else one that is not there is no failure.
    root : Path
        Where the system's files are; another one in tests.
    preset, overrides : str, mapping
        As `gpdata.spark` takes them.
    """

    plan: Plan
    effective: Mapping[str, str] = field(repr=False)
    environment: SparkEnvironment
    session: Any = None
    lake: str = "lake"
    must_lake: bool = False
    root: Path = Path("/")
    preset: str | None = None
    overrides: Mapping[str, str] = field(default_factory=dict, repr=False)

    @property
    def drives(self) -> bool:
        """Whether this process is to be the driver, with a JVM of its own or a server beside it."""
        return self.plan.remote is None


Check = Callable[[Situation], Iterable[Finding]]


def in_bytes(text: str) -> int | None:
    """Read an amount of memory as Spark's settings have it; a number alone is MiB. None where it is none.

    Examples
    --------
    >>> in_bytes("2g"), in_bytes("512"), in_bytes("1gb"), in_bytes("much")
    (2147483648, 536870912, 1073741824, None)
    """
    found = re.fullmatch(r"\s*(\d+)\s*([bkmgtp]?)b?\s*", text.lower())
    return int(found[1]) * _UNITS[found[2]] if found else None


def gib(size: float) -> str:
    """Write bytes in GiB.

    Examples
    --------
    >>> gib(3 * 2**29)
    '1.5 GiB'
    """
    return f"{size / 2**30:.3g} GiB"
