"""How often an analysis calls Spark's JVM to build its plan: what slows it beside a query by hand, and no clock."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest

import gpdata as gp
from gpdata.schema import ERRORS, GENERATIONS, GENES, INDIVIDUALS, RUNS, arrow_schema

pytestmark = pytest.mark.xdist_group("spark")

BY = {"by": "problem"}
ASKED: dict[str, tuple[int, Callable[[dict[str, Any]], Any]]] = {
    "last_generation": (60, lambda f: gp.last_generation(f["generations"])),
    "success_table": (640, lambda f: gp.success_table(gp.last_generation(f["generations"]), f["runs"], **BY)),
    "cumulative_success": (460, lambda f: gp.cumulative_success(f["generations"], f["runs"], **BY)),
    "error_curves": (300, lambda f: gp.error_curves(f["generations"], f["runs"], **BY)),
    "size_curves": (550, lambda f: gp.size_curves(f["generations"], f["runs"], **BY)),
    "ert": (590, lambda f: gp.ert(f["generations"], f["runs"], **BY)),
    "diversity": (690, lambda f: gp.diversity(f["individuals"])),
    "age_error": (115, lambda f: gp.age_error(f["individuals"])),
    "lexicase_stats": (505, lambda f: gp.lexicase_stats(f["errors"])),
    "elite_cases": (500, lambda f: gp.elite_cases(f["errors"])),
    "instruction_frequency": (420, lambda f: gp.instruction_frequency(f["genes"], f["runs"], **BY)),
    "winner": (365, lambda f: gp.winner(f["individuals"], f["generations"], run="a")),
}
"""Each standard analysis, and how many calls it may take: about a quarter more than it does."""


@pytest.fixture(scope="module")
def frames(sessions: Callable[[str], Any]) -> dict[str, Any]:
    """Return the frames of a lab without a run: what is called does not depend on the rows."""
    from pyspark.sql.pandas.types import from_arrow_schema

    tables = (ERRORS, GENERATIONS, GENES, INDIVIDUALS, RUNS)
    session = sessions("spark")
    return {table.name: session.createDataFrame([], from_arrow_schema(arrow_schema(table))) for table in tables}


@pytest.mark.parametrize("name", ASKED)
def test_a_plan_takes_few_calls(name: str, frames: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    from py4j.java_gateway import GatewayClient
    from pyspark.errors import utils

    # The line of the caller that PySpark notes for its messages is up to ten calls more for each: a setting's matter.
    monkeypatch.setattr(utils, "_enable_debugging_cache", False)
    most, ask = ASKED[name]
    ask(frames)  # what is asked once in a session is not counted
    sent, mine, send = 0, threading.get_ident(), GatewayClient.send_command

    def counted(self: Any, command: str, *rest: Any, **named: Any) -> Any:
        nonlocal sent
        # "m" lets go of an object, whenever Python's collector comes to it.
        sent += threading.get_ident() == mine and not command.startswith("m\n")
        return send(self, command, *rest, **named)

    with monkeypatch.context() as patched:
        patched.setattr(GatewayClient, "send_command", counted)
        answer = ask(frames)
    assert answer.columns
    assert 0 < sent <= most, f"{name}: {sent} calls"
