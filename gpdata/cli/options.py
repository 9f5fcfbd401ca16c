"""What several commands share: how a lake is named, how bytes are shown."""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import click

from gpdata.config import settings
from gpdata.errors import InvalidInput

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

    from gpdata.lab import Lab

_UNITS = {"": 1, "b": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12}
_UNITS |= {f"{unit}ib": 1 << 10 * power for power, unit in enumerate("kmgt", 1)}
_UNITS |= {f"{unit}b": _UNITS[unit] for unit in "kmgt"}
FOUND_PROBLEMS = 1
QUARANTINED = 3


def lake_argument(command: Callable[..., Any]) -> Callable[..., Any]:
    """Let a command take its lake as ``LAKE`` or ``--lake LAKE``, GPDATA_LAKE by default.

    The command gets the parameters `lake_argument` and `lake_option`; `chosen_lake` makes one of them.
    """
    argument = click.argument("lake_argument", metavar="[LAKE]", required=False, shell_complete=complete_lake)
    return argument(lake_option(command, "lake_option", default=None))


def lake_option(command: Callable[..., Any], name: str = "lake", *, default: str | None = "") -> Callable[..., Any]:
    """Let a command take its lake as ``--lake``."""
    shown = "The lake's directory.  [default: $GPDATA_LAKE, else lake]"
    option = click.option("--lake", name, metavar="DIR", default=default, help=shown, shell_complete=complete_lake)
    return option(command)


def complete_lake(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Let the shell complete directories."""
    from click.shell_completion import CompletionItem

    return [CompletionItem(incomplete, type="dir")]


def chosen_lake(argument: str | None, option: str | None = None) -> str:
    """Return the lake that was named, or the default."""
    if argument and option and argument != option:
        raise InvalidInput(f"two lakes were named, {argument!r} and {option!r}; name one")
    return argument or option or settings().lake


def engine_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """Let a command take the engine that answers as ``--engine``."""
    choice = click.Choice(["duckdb", "polars", "spark"])
    shown = "What answers.  [default: $GPDATA_ENGINE, else duckdb]"
    return click.option("--engine", type=choice, help=shown)(command)


def chosen_engine(name: str | None) -> Any:
    """Return the engine of that name as gpdata.open takes it, None for its default; Spark is started for it."""
    if name != "spark":
        return name
    from gpdata.sessions import spark

    return spark()


def usual_groups(lab: Lab) -> tuple[str, ...]:
    """Return what runs are grouped by where nothing else is said: the problem, and how parents are selected."""
    return ("problem", *(key for key in ("parent-selection",) if key in lab.config_keys))


def need_deap(advice: str = "") -> None:
    """Say how to install DEAP where it is not; `advice` follows."""
    if find_spec("deap") is None:
        raise InvalidInput(
            f"this evolves with DEAP, which is not installed; install it with pip install 'gpdata[deap]'{advice}"
        )


def human_bytes(size: int) -> str:
    """Write a number of bytes for people.

    Examples
    --------
    >>> human_bytes(999), human_bytes(1_234_567)
    ('999 B', '1.2 MB')
    """
    value, unit = float(size), "B"
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if value < 1000 or unit == "TB":
            break
        value /= 1000
    return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"


class Bytes(click.ParamType[int]):
    """A number of bytes such as 1GiB, 500MB or 1048576.

    Examples
    --------
    >>> Bytes().convert("3GiB", None, None), Bytes().convert("500 MB", None, None)
    (3221225472, 500000000)
    """

    name = "size"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Return the number."""
        text = str(value).strip()
        number = text.rstrip("bBiIkKmMgGtT")
        unit = _UNITS.get(text[len(number) :].lower())
        if not number.strip().isdecimal() or unit is None:
            self.fail(f"{text!r} is no number of bytes; valid is for instance 1GiB, 500MB or 1048576", param, ctx)
        return int(number) * unit
