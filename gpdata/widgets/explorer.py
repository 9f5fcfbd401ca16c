"""`gpdata.explore`: the explorer as a Jupyter widget."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

import anywidget
import traitlets

from gpdata.analyses.frames import check_columns
from gpdata.config import settings
from gpdata.errors import GpdataError, InvalidInput
from gpdata.lab import Lab
from gpdata.lab import open as open_lab
from gpdata.widgets import lineage
from gpdata.widgets.choice import Choice
from gpdata.widgets.code import choosing, run_lines
from gpdata.widgets.lineage import Lineage
from gpdata.widgets.live import Watch, age
from gpdata.widgets.state import State, read_state
from gpdata.widgets.views import VIEWS, answer, usual_groups

_SCRIPTS = ("dom.js", "choose.js", "views.js", "ancestry.js", "explorer.js")
"""The parts of the browser's side, each with the functions that the next ones call."""
_ANCESTRY = "ancestry"
_EVERY = 2


def _asset(name: str) -> str:
    return files("gpdata.widgets").joinpath("js", name).read_text(encoding="utf-8")


class Explorer(anywidget.AnyWidget):
    """The explorer; made by `gpdata.explore`.

    What a person chooses in the browser arrives as `state`; every part that it changes is asked of the lab's engine
    and sent back, a page of rows and a picture at a time. The browser asks every few seconds whether the lake has
    changed, and stops when it shows the explorer no more: no thread and no timer runs here.

    Attributes
    ----------
    state : dict
        What is chosen, as `gpdata.widgets.state.State` declares it; may be set.
    every : int
        Seconds between two looks at the lake; 0: none.
    """

    _esm = "\n".join(map(_asset, _SCRIPTS))
    _css = _asset("explorer.css")

    state = traitlets.Dict().tag(sync=True)
    every = traitlets.Int().tag(sync=True)
    working = traitlets.Bool(False).tag(sync=True)
    status = traitlets.Dict().tag(sync=True)
    filters: Any = traitlets.List().tag(sync=True)
    groups = traitlets.Dict().tag(sync=True)
    views = traitlets.Dict().tag(sync=True)
    table = traitlets.Dict().tag(sync=True)
    view = traitlets.Dict().tag(sync=True)
    ancestry = traitlets.Dict().tag(sync=True)
    person = traitlets.Dict().tag(sync=True)

    def __init__(self, lab: Lab, *, every: int = 0) -> None:
        self._watch = Watch(lab)
        self._made: dict[str, Any] = {}
        self._choice: Choice | None = None
        self._lineage: Lineage | None = None
        self._result: Any = None
        self._looks = 0
        titles = {name: view.title for name, view in VIEWS.items()} | {_ANCESTRY: lineage.TITLE}
        super().__init__(every=every, views=titles, state={})
        self._update()
        self.observe(lambda _: self._update(), "state")
        self.on_msg(self._hear)

    @property
    def lab(self) -> Lab:
        """The lab at the version that is shown."""
        return self._watch.lab

    @property
    def runs(self) -> Any:
        """The chosen runs: a native frame of the lab's engine."""
        return run_lines(choosing(read_state(self.state)), self.lab)["runs"]

    @property
    def result(self) -> Any:
        """What the shown view was made of: a native frame of the lab's engine; None where it could not be made."""
        return self._result

    def look(self) -> bool:
        """Look whether the lake has a newer version, show that, and say whether there was one."""
        changed = self._watch.look()
        self._looks += 1
        if changed:
            self._update()
        else:
            self._say_status()
        return changed

    def _hear(self, _: Any, content: dict[str, Any], __: Any) -> None:
        if content.get("kind") == "look":
            try:
                self.look()
            except GpdataError as error:  # the lake was moved away, say: the next look may find it again
                self.status = {**self.status, "looks": self._looks, "error": str(error)}

    def _update(self) -> None:
        """Make anew what the state or the version has changed, and nothing else."""
        self.working = True
        try:
            state = read_state(self.state)
            self._say_status()
            version = self.lab.version
            if not self._part("filters", version, self._list_filters):
                return
            by = usual_groups(self._columns) if state.by is None else state.by
            self.groups = {"columns": self._columns, "by": by}
            choice = (version, state.choice)
            page = (*choice, tuple(by), state.page, state.sort, state.descending)
            self._part("table", page, lambda: self._list_runs(state, by))
            if state.view == _ANCESTRY:
                self._show_ancestry(state)
            else:
                options = (state.view, tuple(by), state.stopped, state.size)
                self._part("view", (*choice, *options), lambda: self._show_view(state, by), name=state.view)
        finally:
            self.working = False

    def _part(self, trait: str, key: Any, make: Callable[[], Any], **also: Any) -> bool:
        """Make one part, unless it is there already; what goes wrong is said in its place, and other parts go on."""
        if self._made.get(trait) == key:
            return True
        self._made[trait] = key
        try:
            setattr(self, trait, make())
        except Exception as error:
            # The boundary to a person: whatever an engine raises becomes a sentence.
            failed = {"error": sentence(error), **also}
            setattr(self, trait if trait != "filters" else "table", failed)
            return False
        return True

    @property
    def _columns(self) -> list[str]:
        return [] if self._choice is None else self._choice.columns

    def _say_status(self) -> None:
        lab = self.lab
        self.status = {
            "lake": str(lab.path),
            "version": lab.version,
            "engine": lab.engine,
            "age": age(lab),
            "runs": 0 if self._choice is None else len(self._choice.table),
            "looks": self._looks,
        }

    def _list_filters(self) -> list[dict[str, Any]]:
        self._choice = Choice(self.lab)
        self._say_status()
        return self._choice.filters()

    def _list_runs(self, state: State, by: Sequence[str]) -> dict[str, Any]:
        assert self._choice is not None
        return self._choice.page(state, by)

    def _show_view(self, state: State, by: Sequence[str]) -> dict[str, Any]:
        self._result = None
        check_columns(by, [*self._columns, *self.lab.config_keys], "runs", "Group by another.")
        found = answer(self.lab, state, by)
        self._result = found.result
        view = VIEWS[state.view]
        return {
            "name": state.view,
            "says": view.says,
            "code": found.code,
            "columns": found.columns,
            "rows": found.rows,
            "total": found.total,
            "picture": found.picture,
            "alt": f"{view.title} of the chosen runs{' by ' + ' and '.join(by) if by and view.grouped else ''}. "
            "The numbers are in the table below.",
        }

    def _show_ancestry(self, state: State) -> None:
        version = self.lab.version
        self._part("ancestry", (version, state.run, state.choice if not state.run else ()), lambda: self._trace(state))
        if self._lineage is None:
            self._made["person"] = None
            self.person = {}
            return
        followed = self._lineage
        self._result = followed.result
        self._part("person", (version, followed.run, state.individual), lambda: followed.individual(state))

    def _trace(self, state: State) -> dict[str, Any]:
        self._lineage = None
        self._result = None
        run = state.run
        if not run:
            raise InvalidInput("Choose a run in the table: the ancestry of its winner is shown here.")
        self._lineage = Lineage(self.lab, run)
        return {**self._lineage.graph(), "code": self._lineage.code}


def sentence(error: Exception) -> str:
    """Say what went wrong in a view.

    Examples
    --------
    >>> sentence(InvalidInput("no run has label='x'"))
    "no run has label='x'"
    >>> sentence(MemoryError("out of memory"))
    'This could not be shown: MemoryError: out of memory'
    """
    if isinstance(error, GpdataError):
        return str(error)
    first = str(error).strip().split("\n")[0]
    return f"This could not be shown: {type(error).__name__}{': ' + first if first else ''}"


def explore(lab: Lab | str | Path | None = None, *, every: int | None = None) -> Explorer:
    """Open the explorer: choose runs, see success, curves, diversity and ancestry, and copy the code of each view.

    Parameters
    ----------
    lab : Lab, str or Path, optional
        What `gpdata.open` returned, or the lake's directory; by default what GPDATA_LAKE names, else ``lake``.
    every : int, optional
        Seconds between two looks for what was recorded since, 0 for none. Left out: 2 for a directory, and none for
        a lab, which is a certain version; both can be changed in the explorer.

    Returns
    -------
    Explorer
        A widget: the last line of a notebook's cell shows it. Its `runs` are the chosen runs, its `lab` the lab at
        the version that is shown, and its `result` the frame behind the view.

    Raises
    ------
    NotALake, LakeTooNew, LakeDamaged
        The directory cannot be opened.
    InvalidInput
        `lab` is something else, or `every` is less than 0.

    Examples
    --------
    >>> import tempfile, gpdata
    >>> with gpdata.Recorder(tempfile.mkdtemp(), system="mine", problem="odd") as run:
    ...     run.generation([{"total_error": 1.0}, {"total_error": 0.0}], outcome="success")
    >>> explorer = explore(run.lake)
    >>> explorer.table["total"], explorer.view["name"]
    (1, 'success')
    """
    if lab is not None and not isinstance(lab, Lab | str | Path):
        raise InvalidInput(
            f"a {type(lab).__name__} was given; the explorer takes what gpdata.open returned, or a lake's directory"
        )
    given = isinstance(lab, Lab)
    every = (0 if given else _EVERY) if every is None else every
    if every < 0:
        raise InvalidInput(f"every is {every}; valid is a number of seconds, or 0 for no refresh")
    opened = lab if isinstance(lab, Lab) else open_lab(settings().lake if lab is None else lab)
    return Explorer(opened, every=every)
