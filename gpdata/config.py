"""The settings that the environment can change: the only module that reads environment variables."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from gpdata.errors import InvalidInput

MIB = 2**20
MOST_BYTES = 512 * MIB
"""The greatest line and batch: no Arrow column of it outgrows 32-bit offsets, as `gpdata.wire.Limits` has it."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What a person can set once for all commands.

    Parameters
    ----------
    lake : str
        Where the lake is, when a command is not told (GPDATA_LAKE).
    owner : str or None
        Who the recorded runs belong to; None: nobody in particular (GPDATA_OWNER).
    max_line_bytes : int
        The longest line that is taken in, in bytes after decompression (GPDATA_MAX_LINE_BYTES).
    batch_bytes : int
        How much raw JSON goes into one batch of the lake, in bytes (GPDATA_BATCH_BYTES).
    traceback : bool
        Whether the command line shows the traceback of an error (GPDATA_TRACEBACK).
    server : str or None
        The address of the ingest service that is uploaded to (GPDATA_SERVER).
    token : str or None
        What tells the ingest service who uploads (GPDATA_TOKEN); never shown.
    engine : str or None
        What answers, when `gpdata.open` is not told: "duckdb", "polars" or "spark"; None: DuckDB (GPDATA_ENGINE).

    Examples
    --------
    >>> Settings().max_line_bytes
    268435456
    """

    lake: str = "lake"
    owner: str | None = None
    max_line_bytes: int = 256 * MIB
    batch_bytes: int = 64 * MIB
    traceback: bool = False
    server: str | None = None
    token: str | None = field(default=None, repr=False)
    engine: str | None = None


def settings(environment: Mapping[str, str] | None = None) -> Settings:
    """Read the settings from the environment; what is unset or empty keeps its default.

    Parameters
    ----------
    environment : mapping of str to str, optional
        The variables; those of this process where it is left out.

    Returns
    -------
    Settings
        Every setting, checked.

    Raises
    ------
    InvalidInput
        A number of bytes is not a whole number from 1 to 536,870,912.

    Examples
    --------
    >>> settings({"GPDATA_LAKE": "/data/lake", "GPDATA_BATCH_BYTES": "1000000"}).batch_bytes
    1000000
    """
    variables = os.environ if environment is None else environment
    default = Settings()
    return Settings(
        lake=variables.get("GPDATA_LAKE") or default.lake,
        owner=variables.get("GPDATA_OWNER") or None,
        max_line_bytes=_bytes(variables, "GPDATA_MAX_LINE_BYTES", default.max_line_bytes),
        batch_bytes=_bytes(variables, "GPDATA_BATCH_BYTES", default.batch_bytes),
        traceback=show_traceback(variables),
        server=variables.get("GPDATA_SERVER") or None,
        token=variables.get("GPDATA_TOKEN") or None,
        engine=variables.get("GPDATA_ENGINE") or None,
    )


def show_traceback(environment: Mapping[str, str] | None = None) -> bool:
    """Say whether tracebacks are wanted; never fails, so that an error handler can ask.

    Parameters
    ----------
    environment : mapping of str to str, optional
        The variables; those of this process where it is left out.

    Returns
    -------
    bool
        True where GPDATA_TRACEBACK is set to anything but 0, false, no or off.

    Examples
    --------
    >>> show_traceback({"GPDATA_TRACEBACK": "1"}), show_traceback({})
    (True, False)
    """
    variables = os.environ if environment is None else environment
    return variables.get("GPDATA_TRACEBACK", "").strip().lower() not in ("", "0", "false", "no", "off")


@dataclass(frozen=True, slots=True)
class SparkEnvironment:
    """What a site says of its Spark and its Java.

    Parameters
    ----------
    java_home : str or None
        JAVA_HOME.
    spark_home : str or None
        SPARK_HOME: a Spark that the site installed.
    remote : str or None
        SPARK_REMOTE: the address of a Spark Connect server, such as ``sc://host:15002``.
    """

    java_home: str | None
    spark_home: str | None
    remote: str | None = None


def spark_environment(environment: Mapping[str, str] | None = None) -> SparkEnvironment:
    """Read what a site says of its Spark and its Java.

    Parameters
    ----------
    environment : mapping of str to str, optional
        The variables; those of this process where it is left out.

    Returns
    -------
    SparkEnvironment
        None where a variable is unset or empty.

    Examples
    --------
    >>> spark_environment({"JAVA_HOME": "/usr/lib/jvm/17"}).java_home
    '/usr/lib/jvm/17'
    """
    variables = os.environ if environment is None else environment
    return SparkEnvironment(*(variables.get(name) or None for name in ("JAVA_HOME", "SPARK_HOME", "SPARK_REMOTE")))


def export(variables: Mapping[str, str], *, replace: bool = False) -> None:
    """Set environment variables for programs that this process starts; what is set already stays.

    Parameters
    ----------
    variables : mapping of str to str
        The variables.
    replace : bool
        Whether what is set already does not stay.

    Examples
    --------
    >>> export({"SPARK_EXAMPLE": "1"})
    """
    for name, value in variables.items():
        if replace or name not in os.environ:
            os.environ[name] = value


def user_cache(environment: Mapping[str, str] | None = None) -> Path:
    """Return the directory for what gpdata can make again: below XDG_CACHE_HOME, else ``~/.cache``.

    Parameters
    ----------
    environment : mapping of str to str, optional
        The variables; those of this process where it is left out.

    Returns
    -------
    Path
        It need not exist.

    Examples
    --------
    >>> user_cache({"XDG_CACHE_HOME": "/var/cache/ada"}).as_posix()
    '/var/cache/ada/gpdata'
    """
    return _user_directory("XDG_CACHE_HOME", ".cache", environment)


def user_state(environment: Mapping[str, str] | None = None) -> Path:
    """Return the directory for what must not get lost: below XDG_STATE_HOME, else ``~/.local/state``.

    Parameters
    ----------
    environment : mapping of str to str, optional
        The variables; those of this process where it is left out.

    Returns
    -------
    Path
        It need not exist.

    Examples
    --------
    >>> user_state({"XDG_STATE_HOME": "/var/lib/ada"}).as_posix()
    '/var/lib/ada/gpdata'
    """
    return _user_directory("XDG_STATE_HOME", ".local/state", environment)


def _user_directory(name: str, default: str, environment: Mapping[str, str] | None) -> Path:
    root = (os.environ if environment is None else environment).get(name)
    return (Path(root) if root else Path.home() / default) / "gpdata"


def _bytes(variables: Mapping[str, str], name: str, default: int) -> int:
    text = variables.get(name)
    if not text:
        return default
    try:
        value = int(text)
    except ValueError:
        value = 0
    if not 1 <= value <= MOST_BYTES:
        raise InvalidInput(
            f"the environment variable {name} is {text[:40]!r}; valid is a whole number of bytes from 1 to "
            f"{MOST_BYTES}; unset it for the default, {default}"
        )
    return value
