"""`gpdata.spark_settings`: what a session runs with, or would run with."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from gpdata.config import spark_environment
from gpdata.display import Card, Grid, shortened
from gpdata.sessions.cluster import defaults, hidden, plan
from gpdata.sessions.session import live, plan_of, settings_directory

_HIDDEN = "(hidden)"
_MOST = 90


class SparkSettings(Mapping[str, str]):
    """Settings of Spark by name; printed, or shown by a notebook, as a table that says where each is from.

    Parameters
    ----------
    title : str
        Of the table.
    values : mapping of str to str
        The settings; a secret's value is never kept.
    sources : mapping of str to str
        Where each is from.

    Examples
    --------
    >>> settings = SparkSettings("so", {"spark.authenticate.secret": "x"}, {"spark.authenticate.secret": "asked for"})
    >>> print(settings)
    so
    <BLANKLINE>
    settings
    name                       value     from
    spark.authenticate.secret  (hidden)  asked for
    """

    def __init__(self, title: str, values: Mapping[str, str], sources: Mapping[str, str]) -> None:
        self._title = title
        self._values = {name: _HIDDEN if hidden(name) else values[name] for name in sorted(values)}
        self._sources = dict(sources)

    def __getitem__(self, name: str) -> str:
        return self._values[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def _card(self) -> Card:
        rows = [
            (name, shortened(value, _MOST), self._sources.get(name, "Spark")) for name, value in self._values.items()
        ]
        return Card(self._title, {}, [Grid("settings", ("name", "value", "from"), rows)])

    def __repr__(self) -> str:
        return f"<{self._title}: {len(self)} settings>"

    def __str__(self) -> str:
        return self._card().text(width=200)

    def __rich__(self) -> Any:
        return self._card().rich()

    def _repr_html_(self) -> str:
        return self._card().html()

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        printer.text(repr(self) if cycle else str(self))


def spark_settings(preset: str | None = None, **overrides: str) -> SparkSettings:
    """Return the settings that the live Spark session has, or those that a preset would give it here.

    Parameters
    ----------
    preset : str, optional
        A preset of `spark`, which is not started. Where it is left out, the live session is asked, and where there is
        none, the preset that `spark` would take.
    **overrides : str
        Settings on top, as for `spark`.

    Returns
    -------
    SparkSettings
        A mapping that prints as a table: each setting, its value (secrets hidden) and where it is from.

    Raises
    ------
    InvalidInput
        There is no such preset or setting, or the place lacks what the preset needs.

    Examples
    --------
    >>> spark_settings("local", spark__driver__memory="8g")["spark.driver.memory"]
    '8g'
    """
    environment = spark_environment()
    folder = settings_directory(environment)
    session = None if preset or overrides else live()
    of = plan_of(session) if session is not None else plan(preset, overrides, environment, folder)
    written = defaults(folder)
    sources = dict.fromkeys(written, "spark-defaults.conf")
    if of is not None:
        sources |= dict.fromkeys(of.settings, "SPARK_REMOTE" if of.remote else f"the preset {of.preset}")
        sources |= dict.fromkeys(of.given, "asked for")
    if session is None:
        assert of is not None
        title = f"A Spark session of the preset {of.preset!r} would have"
        return SparkSettings(title, (of.settings if of.remote else written | dict(of.settings)), sources)
    values = {name: value for name, value in session.conf.getAll.items() if name.startswith("spark.")}
    whose = "that gpdata started" if of is not None else "that was not started by gpdata"
    return SparkSettings(f"The live Spark session, {whose}", values, sources)
