"""`gpdata.Recorder`: what a GP system calls once a generation."""

from __future__ import annotations

import random
import uuid
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self, SupportsIndex

from gpdata.config import settings
from gpdata.errors import InvalidInput, near
from gpdata.schema import OUTCOMES
from gpdata.storage import Place
from gpdata.upload import line
from gpdata.upload.embedded import Embedded
from gpdata.upload.plain import Plain
from gpdata.upload.transport import Transport, is_server

CONTINUE, SUCCESS, FAILURE = OUTCOMES
_LONGEST_RUN_UUID = 200
_MOST_GENERATIONS = 2**31 - 1


class Recorder:
    """Records one run of any GP system, generation by generation, into a lake on this machine or of a server.

    Each generation is durable on this machine when `generation` returns, whatever happens to the process then.
    Several processes can record into one lake at once, each run with a Recorder of its own. After the ``with``
    block, also when an exception leaves it, everything recorded is in the lake's tables, or the server has it.

    Parameters
    ----------
    lake : str or Path, optional
        The lake's directory, made where there is none, or a server's address. By default the server that GPDATA_SERVER
        names, as in every notebook of a hub; where it is unset, the lake that GPDATA_LAKE names, else ``lake``.
    system : str
        The GP system: "deap", "pyshgp", "mygp".
    problem : str, optional
        The problem that is run; recorded as null where it is left out.
    config : mapping, optional
        Every argument of the run, under the names that analyses will group by ("parent-selection"), with
        values that JSON can hold.
    label : str, optional
        A researcher's word for the run; runs of other labels are still replicates.
    run_uuid : str or UUID, optional
        The run's key; made by `uuids` where it is left out.
    owner : str, optional
        Who the run belongs to; the setting GPDATA_OWNER where it is left out, else nobody. A server knows it by
        the token: leave it out there.
    version, git_hash, command : str, optional
        Of the GP system; null where they are left out.
    uuids : callable or iterator, optional
        Gives the uuid of the run, and of every individual that has none; random ones by default.
    clock : callable, optional
        Gives the time as a datetime with a time zone, or in seconds since the epoch; the computer's clock by
        default.
    transform_every : float, optional
        Seconds after which a generation also moves what was recorded into the lake's tables, where readers
        see it. A server does that by itself.
    token : str, optional
        For a server: what tells it who records; the setting GPDATA_TOKEN where it is left out.
    close_timeout : float, optional
        For a server: seconds for which `close` waits until it has everything.
    ca : str or Path, optional
        For a server: the certificates, in PEM, of the authority that signed its own; the well-known
        authorities where it is left out.
    outbox : str or Path, optional
        For a server: the directory where generations wait; one of this user's own for each address by default.

    Attributes
    ----------
    lake : Path or str
        The lake's directory, or the server's address.
    run_uuid : str
        The run's key.
    account : gpdata.lake.Account
        What became of the generations recorded, as far as they are in the lake, or the server said: accepted,
        duplicates of stored ones, or quarantined.

    Raises
    ------
    InvalidInput
        An argument cannot be used; the message says which, and what is valid.

    Notes
    -----
    With seeded `uuids` and a `clock` that gives the same times, a seeded run that is run again sends the same
    bytes again; they count as duplicates. Other content for a generation that is stored does not replace it:
    it goes to the lake's quarantine, and `close` warns.

    To a server, a generation is written into an outbox on this machine's disk and sent in the background; a
    server that is away for an hour or a week holds nothing up. What it does not have when `close` gives up, or
    when the process is killed, is sent by the next Recorder of this user to that server, or by
    ``gpdata forward --to ADDRESS --drain``. Record in the process that made the Recorder: in one that was
    forked from it `generation` raises, and `close` does nothing.

    Examples
    --------
    >>> import tempfile, gpdata
    >>> with gpdata.Recorder(
    ...     tempfile.mkdtemp(), system="mygp", problem="odd", config={"parent-selection": "lexicase"}
    ... ) as run:
    ...     run.generation([{"errors": [0, 1]}, {"errors": [1, 1]}])
    ...     run.generation([{"errors": [0, 0]}, {"errors": [0, 1]}], outcome="success")
    >>> lab = gpdata.open(run.lake)
    >>> lab.sql("select generation, outcome, best_total_error from generations order by 1").fetchall()
    [(0, 'continue', 1.0), (1, 'success', 0.0)]
    """

    def __init__(
        self,
        lake: str | Path | None = None,
        *,
        system: str,
        problem: str | None = None,
        config: Mapping[str, object] | None = None,
        label: str | None = None,
        run_uuid: str | uuid.UUID | None = None,
        owner: str | None = None,
        version: str | None = None,
        git_hash: str | None = None,
        command: str | None = None,
        uuids: Callable[[], str | uuid.UUID] | Iterator[str | uuid.UUID] | None = None,
        clock: Callable[[], datetime | float] | None = None,
        transform_every: float = 5.0,
        token: str | None = None,
        close_timeout: float = 60.0,
        ca: str | Path | None = None,
        outbox: str | Path | None = None,
    ) -> None:
        if lake is None:
            lake = settings().server or settings().lake
        texts = {"problem": problem, "label": label, "owner": owner, "version": version, "git_hash": git_hash,
                 "command": command}  # fmt: skip
        for name, text in {"system": system, **{k: v for k, v in texts.items() if v is not None}}.items():
            if not isinstance(text, str) or not text:
                raise InvalidInput(f"{name} is {text!r}; valid is a text that is not empty")
        if not transform_every >= 0:
            raise InvalidInput(f"transform_every={transform_every}; valid is a number of seconds, 0 or more")
        self._clock = clock or _now
        self._uuids = uuids if callable(uuids) else uuids.__next__ if uuids is not None else _random_uuid
        argmap = _argmap(config, label)
        self.run_uuid = _run_uuid(self.new_uuid() if run_uuid is None else run_uuid)
        self._began = self._time()
        run: dict[str, Plain] = {
            "system": system,
            "problem-file": problem,
            "start-time": self._began.timestamp(),
            "version-number": version,
            "git-hash": git_hash,
            "command": command,
        }
        self._config = line.encode({**{k: v for k, v in run.items() if v is not None}, "argmap": argmap})
        remote = {"token": token, "close_timeout": close_timeout, "ca": ca, "outbox": outbox}
        self._transport = self._open(lake, owner, transform_every, remote)
        self._last: tuple[int, str] | None = None
        self._closed = False
        self.lake: Place | str = self._transport.place
        self.account = self._transport.account

    @property
    def closed(self) -> bool:
        """Whether `close` was called."""
        return self._closed

    def new_uuid(self) -> str:
        """Return a new uuid from the Recorder's source, for an individual that is being made.

        Returns
        -------
        str
            The next of `uuids`; a random one by default.
        """
        return str(self._uuids())

    def generation(
        self,
        individuals: Iterable[Mapping[str, object]],
        outcome: str = CONTINUE,
        best: Mapping[str, object] | None = None,
        test_errors: Sequence[float] | None = None,
        report: Mapping[str, object] | None = None,
        index: int | None = None,
    ) -> None:
        """Record one generation, durably.

        Parameters
        ----------
        individuals : iterable of mappings
            The whole population in the order of its locations. Each individual maps names of columns of
            `gpdata.schema.INDIVIDUALS` to values, with underscores or dashes: uuid, parent_uuids (None for a
            random individual, [] after genesis), genetic_operators, total_error, errors, test_errors,
            behaviors, age, program, program_size, is_random_replacement, ...; and `genome`, a list whose
            genes are texts, numbers, or mappings with `instruction`, `close`, `silent`, `uuid`,
            `parent_uuid`, `random_insertion`. All are optional: a uuid is made where there is none, and
            total_error is the sum of errors where only those are given (`math.fsum`; exact for whole
            numbers). Numpy values are fine, NaN and Infinity too. Names that gpdata does not know are kept
            as JSON in the column `extra`.
        outcome : {'continue', 'success', 'failure'}, optional
            Whether the run goes on, or how it ended with this generation. A run that goes on after a success
            says 'success' in every later generation: the last one tells how the run ended.
        best : mapping, optional
            The individual that the system calls best, as above, and what is known of it: `simplified`
            (another individual), `mean_error`, `genome_size`, `percent_parens`. Where it is left out: the
            individual of least total error, the first of equals; NaN is never the least.
        test_errors : sequence of float, optional
            The best individual's error on each unseen test case.
        report : mapping, optional
            The system's own statistics of this generation: names to numbers.
        index : int, optional
            The generation, from 0; one more than the last where it is left out.

        Raises
        ------
        InvalidInput
            The population is empty, a name can only be a slip of the pen, a value cannot be recorded, the
            index does not rise, or the run is over. Nothing was recorded then: mend it and call again.
        """
        number = self._check(outcome, index)
        given = list(individuals)
        population = line.individuals(given, self.new_uuid)
        section = _best(best, given, population)
        if test_errors is not None:
            if section is None:
                raise InvalidInput("test_errors were given, but no individual has a total error: give `best` too")
            section = line.with_test_errors(section, test_errors)
        now = self._time()
        document: dict[str, Plain] = {
            "config-uuid": self.run_uuid,
            "index": number,
            "outcome": outcome,
            "start-time": self._began.timestamp(),
            "population": population,  # type: ignore[dict-item]
        }
        if section is not None:
            document["best"] = section
        if report is not None:
            document["population-report"] = line.report_section(report)
        self._transport.send(b'%b,"config":%b}' % (line.encode(document)[:-1], self._config), now)
        self._last = number, outcome
        self._began = now
        self._transport.settle()

    def close(self) -> None:
        """Bring everything recorded into the lake's tables, or to the server; a second call does nothing.

        Another process that is writing the lake's tables is waited for, and a server for `close_timeout`
        seconds: a warning says what it does not have then, and how it gets there.

        Raises
        ------
        LakeDamaged
            The lake cannot take it; what was recorded is safe in its spool.
        """
        if self._last is None and not self._closed:
            warnings.warn(
                f"the Recorder of run {self.run_uuid} was closed without a generation: nothing of this run "
                f"is in {self.lake}; call generation() once for each, the first population included",
                stacklevel=2,
            )
        self._closed = True
        self._transport.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _open(self, lake: str | Path, owner: str | None, transform_every: float, remote: dict[str, Any]) -> Transport:
        """Return what takes the lines."""
        if is_server(str(lake)):
            if owner is not None:
                raise InvalidInput(
                    f"owner is {owner!r}, but a server knows the owner by the token; leave owner out, "
                    f"or use a token of {owner!r}"
                )
            from gpdata.upload.remote import Remote

            return Remote(str(lake), **remote)
        owner = settings().owner if owner is None else owner
        return Embedded(lake, owner=owner, transform_every=transform_every)

    def _check(self, outcome: str, index: int | None) -> int:
        """Return the generation's number; refuse what would contradict the run so far."""
        if self._closed:
            raise InvalidInput(f"the Recorder of run {self.run_uuid} is closed; open a new one for a new run")
        if outcome not in OUTCOMES:
            raise InvalidInput(f"outcome is {outcome!r}; {near(str(outcome), OUTCOMES)}")
        last, before = self._last or (-1, CONTINUE)
        if before == FAILURE or (before == SUCCESS and outcome != SUCCESS):
            only = "no further generation" if before == FAILURE else "no outcome but 'success' from then on"
            raise InvalidInput(
                f"generation {last} of run {self.run_uuid} ended it with {before!r}, and another with "
                f"outcome {outcome!r} was given; valid is {only}: open a new Recorder for a new run"
            )
        number = last + 1 if index is None else index
        if not isinstance(number, SupportsIndex) or not last < number.__index__() <= _MOST_GENERATIONS:
            raise InvalidInput(
                f"index is {index!r}; valid is a whole number from {last + 1} (one more than the last) to "
                f"{_MOST_GENERATIONS}: leave it out to count by ones"
            )
        return number.__index__()

    def _time(self) -> datetime:
        time = self._clock()
        if isinstance(time, int | float):
            return datetime.fromtimestamp(time, UTC)
        if not isinstance(time, datetime) or time.tzinfo is None:
            raise InvalidInput(
                f"clock gave {time!r}; valid is a datetime with a time zone, as datetime.now(UTC), "
                "or seconds since the epoch, as time.time()"
            )
        return time


def seeded_uuids(seed: int | str) -> Iterator[str]:
    """Yield uuids without end, the same ones for the same seed, and leave Python's own random numbers alone.

    Parameters
    ----------
    seed : int or str
        Two runs need two seeds: their individuals would share uuids otherwise.

    Yields
    ------
    str
        Random uuids (version 4).

    Examples
    --------
    >>> next(seeded_uuids(1)) == next(seeded_uuids(1)) != next(seeded_uuids(2))
    True
    """
    source = random.Random(seed)
    while True:
        yield str(uuid.UUID(int=source.getrandbits(128), version=4))


def _best(
    best: Mapping[str, object] | None,
    given: list[Mapping[str, object]],
    population: list[dict[str, Plain]],
) -> dict[str, Plain] | None:
    """Return the section of the best individual; None where no individual has a total error."""
    if best is None:
        fields = line.best_of(population)
        return None if fields is None else line.measured(fields)
    same = next((fields for individual, fields in zip(given, population, strict=True) if individual is best), None)
    return line.best_section(best if same is None else {**best, "uuid": same["uuid"]})


def _argmap(config: Mapping[str, object] | None, label: str | None) -> dict[str, Plain]:
    if config is None:
        config = {}
    if not isinstance(config, Mapping):
        raise InvalidInput(
            f"config is a {type(config).__name__}; valid is a mapping of argument names to values, such as "
            '{"parent-selection": "lexicase", "population-size": 200}'
        )
    argmap = line.arguments(config, "config's")
    if label is None:
        return argmap
    if argmap.get("label") not in (None, label):
        raise InvalidInput(f"label is {label!r}, but config has the label {argmap['label']!r}; leave one out")
    return {**argmap, "label": label}


def _run_uuid(given: object) -> str:
    text = str(given) if isinstance(given, uuid.UUID) else given
    if not isinstance(text, str) or not 1 <= len(text) <= _LONGEST_RUN_UUID:
        raise InvalidInput(
            f"run_uuid is {given!r}; valid is a UUID or a text of 1 to {_LONGEST_RUN_UUID} characters: "
            "leave it out for a random one"
        )
    return text


def _now() -> datetime:
    return datetime.now(UTC)


def _random_uuid() -> str:
    return str(uuid.uuid4())
