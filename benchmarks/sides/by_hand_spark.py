"""A Spark session as a person sets it up on one machine: what both sides by hand compute on."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import pyarrow as pa

from gpdata.sessions.java import find_java_home

SETTINGS = {
    "spark.driver.memory": "4g",
    # Two hundred, the default, are for a cluster.
    "spark.sql.shuffle.partitions": "8",
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.execution.arrow.pyspark.enabled": "true",
    "spark.driver.maxResultSize": "2g",
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
    # Else each column of a frame costs calls to the JVM that only a debugger needs.
    "spark.python.sql.dataFrameDebugging.enabled": "false",
}


def start(name: str) -> Any:
    """Start a session on all cores of this machine; it ends with the process."""
    from pyspark.sql import SparkSession

    home = find_java_home(os.environ.get("JAVA_HOME"))
    if home is not None:
        os.environ["JAVA_HOME"] = str(home)
    builder = SparkSession.builder.appName(name).master("local[*]")
    for setting, value in SETTINGS.items():
        builder.config(setting, value)
    session = builder.getOrCreate()
    session.sparkContext.setLogLevel("ERROR")
    return session


def walk(lines: pa.Table, generation: int, location: int) -> pa.Table:
    """Walk from an individual to its ancestors: each parent is the nearest earlier individual of that uuid.

    Parameters
    ----------
    lines : pyarrow.Table
        All individuals of a run: generation, location, uuid and the uuids of the parents.
    generation, location : int
        Where to begin.

    Returns
    -------
    pyarrow.Table
        Generation and location of each ancestor, the beginning among them.
    """
    found: dict[str, dict[int, int]] = {}
    parents: dict[tuple[int, int], list[str]] = {}
    for at, place, name, named in zip(*(column.to_pylist() for column in lines.columns), strict=True):
        parents[at, place] = named or []
        known = found.setdefault(name, {})
        known[at] = min(place, known.get(at, place))
    marked, waiting = {(generation, location)}, [(generation, location)]
    while waiting:
        key = waiting.pop()
        for name in parents[key]:
            earlier = [at for at in found.get(name, ()) if at < key[0]]
            if earlier and (parent := (max(earlier), found[name][max(earlier)])) not in marked:
                marked.add(parent)
                waiting.append(parent)
    return pa.table({"generation": [at for at, _ in marked], "location": [place for _, place in marked]})


def answer(text: str) -> Callable[[Any, str], pa.Table]:
    """Return the answer that a query gives."""
    return lambda session, run: session.sql(text).toArrow()
