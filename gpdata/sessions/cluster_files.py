"""Spark's settings in a directory that only its owner reads: a command line is everybody's."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path

from gpdata.errors import InvalidInput


def private(conf: Path, settings: Mapping[str, str]) -> Path:
    """Copy a directory of settings and add some, for SPARK_CONF_DIR.

    Parameters
    ----------
    conf : Path
        The directory of the settings that hold so far.
    settings : mapping of str to str
        What is added to its spark-defaults.conf.

    Returns
    -------
    Path
        A new directory (mode 0700); who asks for it removes it.

    Raises
    ------
    InvalidInput
        A value has a line break.

    Examples
    --------
    >>> import tempfile
    >>> made = private(Path(tempfile.mkdtemp()), {"spark.authenticate.secret": "x"})
    >>> (made / "spark-defaults.conf").read_text().strip()
    'spark.authenticate.secret=x'
    """
    for name, value in settings.items():
        if "\n" in value or "\r" in value:
            raise InvalidInput(f"the setting {name!r} has a line break in its value, which Spark's files cannot hold")
    folder = Path(tempfile.mkdtemp(prefix="gpdata-spark-"))
    for file in conf.iterdir() if conf.is_dir() else ():
        if file.is_file():
            shutil.copyfile(file, folder / file.name)
    with (folder / "spark-defaults.conf").open("a", encoding="utf-8") as written:
        written.writelines(f"\n{name}={_escaped(value)}" for name, value in settings.items())
    return folder


def _escaped(value: str) -> str:
    """Write a value as Java reads it from a file of properties, in UTF-8 as Spark opens it."""
    return value.replace("\\", "\\\\")
