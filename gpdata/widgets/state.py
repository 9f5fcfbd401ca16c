"""What a person has chosen in the explorer: plain data, checked when it comes from the browser."""

from __future__ import annotations

from typing import Any

import msgspec

from gpdata.analyses.curves import Stopped
from gpdata.errors import InvalidInput


class State(msgspec.Struct, frozen=True):
    """Every choice that the explorer offers.

    Attributes
    ----------
    where : dict of str to list of str or None
        For columns of runs, the values that a run may have; None is a run that lacks the key. A column without
        values chooses nothing.
    text : str
        A text that a run must hold somewhere; empty: any.
    since, until : str
        Dates in ISO 8601 between which a run started; empty: any.
    by : list of str or None
        The columns to group by; None: the usual ones.
    view : str
        The view that is shown, a key of `gpdata.widgets.views.VIEWS`.
    stopped : str
        What an ended run counts as in error curves.
    size : str
        Which size is drawn; empty: the first that was recorded.
    run : str
        The run whose ancestry is shown; empty: none yet.
    individual : tuple of int or None
        Generation and location of the individual whose facts are shown; None: the winner.
    page : int
        Which page of the table of runs, from 0.
    sort : str
        The column that orders the table; empty: newest run first.
    descending : bool
        Whether the greatest comes first.
    """

    where: dict[str, list[str | None]] = {}
    text: str = ""
    since: str = ""
    until: str = ""
    by: list[str] | None = None
    view: str = "success"
    stopped: Stopped = "carry"
    size: str = ""
    run: str = ""
    individual: tuple[int, int] | None = None
    page: int = 0
    sort: str = ""
    descending: bool = False

    @property
    def choice(self) -> tuple[Any, ...]:
        """What decides which runs are chosen, to be compared."""
        where = tuple((name, tuple(values)) for name, values in self.where.items() if values)
        return where, self.text, self.since, self.until


def read_state(given: object) -> State:
    """Read a state as the browser sent it.

    Parameters
    ----------
    given : object
        Names and values as JSON has them; what is left out has its default.

    Returns
    -------
    State
        Checked.

    Raises
    ------
    InvalidInput
        A value is of a wrong type.

    Examples
    --------
    >>> read_state({"view": "sizes", "page": 2}).page
    2
    >>> read_state({"page": "two"})
    Traceback (most recent call last):
    gpdata.errors.InvalidInput: the explorer's state cannot be used: Expected `int`, got `str` - at `$.page`
    """
    try:
        return msgspec.convert(given, State)
    except msgspec.ValidationError as error:
        raise InvalidInput(f"the explorer's state cannot be used: {error}") from error
