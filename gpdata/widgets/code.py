"""The code that a view shows, as text: what is shown is what is run."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from gpdata.widgets.live import chosen_runs
from gpdata.widgets.state import State

if TYPE_CHECKING:
    from gpdata.lab import Lab


def literal(value: Any) -> str:
    """Write a value as Python source, texts with double quotes as in a notebook.

    Examples
    --------
    >>> print(literal({"parent-selection": ["lexicase", None]}))
    {"parent-selection": ["lexicase", None]}
    """
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, dict):
        return "{" + ", ".join(f"{literal(key)}: {literal(inner)}" for key, inner in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(literal, value)) + "]"
    return repr(value)


def call(name: str, *places: str, **options: Any) -> str:
    """Write a call of a function, over several lines where it is long; options that are None or empty are left out.

    Examples
    --------
    >>> call("gp.select_runs", "lab.runs", text="odd", since="")
    'gp.select_runs(lab.runs, text="odd")'
    """
    words = [*places, *(f"{key}={literal(value)}" for key, value in options.items() if value not in (None, "", {}))]
    line = f"{name}({', '.join(words)})"
    return line if len(line) <= 96 else "\n".join([f"{name}(", *(f"    {word}," for word in words), ")"])


NARWHALS = "import narwhals as nw"


def program(lab: Lab, *lines: str) -> str:
    """Write lines so that they can be pasted as they stand: imports, the lab as it was opened, the lines."""
    options: dict[str, Any] = {"version": lab.version, "runs": chosen_runs(lab)}
    if lab.engine == "polars":
        options["engine"] = lab.engine
    spark = ["engine=gp.spark()"] if lab.engine == "spark" else []
    opened = f"lab = {call('gp.open', literal(str(lab.path)), *spark, **options)}"
    imports = [NARWHALS] if NARWHALS in lines else []
    return "\n".join(["import gpdata as gp", *imports, "", opened, *(line for line in lines if line != NARWHALS)])


def choosing(state: State) -> list[str]:
    """Write the lines that choose the runs."""
    where = {name: values[0] if len(values) == 1 else values for name, values in state.where.items() if values}
    options = {"where": where, "since": state.since, "until": state.until, "text": state.text}
    if not any(options.values()):
        return ["runs = lab.runs"]
    return [f"runs = {call('gp.select_runs', 'lab.runs', **options)}"]


def run_lines(lines: Iterable[str], lab: Lab, **given: Any) -> dict[str, Any]:
    """Run lines of `program` on a lab that is open already.

    Returns
    -------
    dict
        The names that the lines leave behind.
    """
    import gpdata

    names: dict[str, Any] = {"gp": gpdata, "lab": lab, **given}
    exec(compile("\n".join(lines), "<the explorer>", "exec"), names)
    return names
