"""One self-contained HTML page from the sections of the report."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path
from typing import Any

import jinja2
import narwhals.stable.v2 as nw

from gpdata.errors import InvalidInput
from gpdata.report.sections import SECTIONS, Lab


def write_report(
    lab: Lab,
    path: str | Path,
    *,
    by: str | Sequence[str] = ("problem", "parent-selection"),
    title: str = "Genetic programming runs",
) -> Path:
    """Write the standard report of a lab as one HTML page: pictures, tables, and the code that made each.

    Parameters
    ----------
    lab : Lab
        What `gpdata.open` returned.
    path : str or Path
        The page to write, in a folder that exists; an older page there is replaced.
    by : str or sequence of str
        Columns of `lab.runs`, keys of the config among them, to group runs by.
    title : str
        The page's title.

    Returns
    -------
    Path
        `path`. The page loads nothing: its pictures are inside. Where the lab has no runs, the page says so.

    Raises
    ------
    UnknownColumn
        There are runs, and `lab.runs` lacks a column of `by`.
    InvalidInput
        A column of `by` is called like a result column, or the folder of `path` does not exist.

    Examples
    --------
    >>> import tempfile, gpdata
    >>> with gpdata.Recorder(tempfile.mkdtemp(), system="mine", problem="odd") as run:
    ...     run.generation([{"total_error": 1.0}, {"total_error": 0.0}], outcome="success")
    >>> page = write_report(gpdata.open(run.lake), tempfile.mkdtemp() + "/report.html", by="problem")
    >>> page.name
    'report.html'
    """
    path = Path(path)
    if not path.parent.is_dir():
        raise InvalidInput(f"the report {path} has no place: {path.parent} is no folder. Make it, or name another.")
    by = [by] if isinstance(by, str) else list(by)
    counts = {name: _count(getattr(lab, name)) for name in ("runs", "generations", "individuals")}
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True)
    template = files("gpdata.report").joinpath("page.html.j2").read_text(encoding="utf-8")
    page = environment.from_string(template).render(
        title=title,
        lab=lab,
        counts=counts,
        sections=[section(lab, by) for section in SECTIONS] if counts["runs"] else [],
        version=version("gpdata"),
    )
    path.write_text(page, encoding="utf-8")
    return path


def _count(frame: Any) -> int:
    frame = nw.from_native(frame).lazy().select(nw.len().alias("rows")).collect()
    return int(frame["rows"][0])
