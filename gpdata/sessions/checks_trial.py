"""A trial of a session, in a process of its own: ``python -m gpdata.sessions.checks_trial`` with its JSON on stdin.

It prints a line of JSON after each step, so that who waits knows how far it came.
"""

from __future__ import annotations

import json
import sys
from typing import Any

from gpdata.errors import GpdataError


def facts(session: Any) -> dict[str, Any]:
    """Return the versions of a session, of this process and of an executor, which computes to tell its own.

    Parameters
    ----------
    session : SparkSession
        Classic or Connect.

    Returns
    -------
    dict
        "spark": Spark's version; "driver" and "executor": the versions of python, pyspark, pyarrow and pandas, None
        where one is not installed.
    """
    return {"spark": session.version, "driver": _versions(), "executor": _executor(session)}


def _executor(session: Any) -> dict[str, Any]:
    import pyarrow as pa

    def tell(batches: Any) -> Any:
        for _ in batches:
            yield pa.RecordBatch.from_pydict({"said": [json.dumps(versions())]})

    versions = _versions
    row = session.range(1).mapInArrow(tell, "said string").first()
    found: dict[str, Any] = json.loads(row["said"])
    return found


def _versions() -> dict[str, Any]:
    import platform
    from importlib.metadata import PackageNotFoundError, version

    found: dict[str, Any] = {"python": platform.python_version()}
    for package in ("pyspark", "pyarrow", "pandas"):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = None
    return found


def main() -> None:
    """Start the session that is asked for, tell its versions, and stop it."""
    from gpdata.sessions.session import spark, stop

    asked = json.load(sys.stdin)
    try:
        session = spark(asked["preset"], **asked["overrides"])
        _say({"spark": session.version, "driver": _versions()})
        _say({"executor": _executor(session)})
    except GpdataError as error:
        _say({"error": str(error)})
        if error.__cause__ is not None:
            print(error.__cause__, file=sys.stderr)  # noqa: T201
    except Exception as error:  # Spark's own are of many kinds
        _say({"error": f"{error}"})
    finally:
        stop()


def _say(step: dict[str, Any]) -> None:
    print(json.dumps(step), flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
