"""The machine and the lake that something was measured on, for the results."""

from __future__ import annotations

import importlib.metadata
import os
import platform
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil

import gpdata as gp

_PACKAGES = ("gpdata", "dask", "deltalake", "duckdb", "narwhals", "numpy", "pandas", "polars", "pyarrow", "pyspark")


def machine() -> dict[str, Any]:
    """Describe this machine, its versions and how busy it is."""
    models = [line.split(":", 1)[1].strip() for line in _lines("/proc/cpuinfo") if line.startswith("model name")]
    return {
        "cpu": models[0] if models else platform.processor(),
        "cores": len(os.sched_getaffinity(0)),
        "memory": psutil.virtual_memory().total,
        "kernel": platform.release(),
        "python": platform.python_version(),
        "versions": {name: version for name in _PACKAGES if (version := _version(name))},
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "load": os.getloadavg()[0],
    }


def lake_figures(path: Path) -> dict[str, Any]:
    """Count what a lake holds, and the bytes and files of its tables."""
    lab = gp.open(path, engine="duckdb")
    names = ("runs", "generations", "individuals", "genes", "errors")
    counted = lab.sql(
        "SELECT (SELECT count(*) FROM runs), (SELECT count(*) FROM generations), count(*), "
        "sum(len(gene_instruction)), sum(len(errors)) FROM individuals"
    ).fetchall()[0]
    tables = {table: lab.files(table) for table in names[:3]}
    return {
        "name": path.name,
        **{name: int(value or 0) for name, value in zip(names, counted, strict=True)},
        "bytes": {table: sum(Path(file).stat().st_size for file in files) for table, files in tables.items()},
        "files": {table: len(files) for table, files in tables.items()},
    }


def _lines(path: str) -> list[str]:
    return Path(path).read_text().splitlines() if Path(path).exists() else []


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None
