"""`gpdata.doctor`: why Spark does not start, or a lake cannot be read, and what to do."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gpdata.config import settings, spark_environment
from gpdata.display import Card
from gpdata.errors import InvalidInput, near
from gpdata.sessions.checks import Check, Finding, Situation
from gpdata.sessions.cluster import Plan, defaults, plan
from gpdata.sessions.presets import PRESETS

_SECONDS = 30.0
_BARS = {"Java", "authentication", "master", "Spark Connect"}
"""What bars a session for certain, which is not tried then."""
_MARKS = {"ok": "ok", "warning": "warning", "failed": "FAILED"}


@dataclass(frozen=True)
class Diagnosis(Sequence[Finding]):
    """What the checks found; printed, or shown by a notebook, as a table.

    Parameters
    ----------
    title : str
        Of the table.
    findings : tuple of Finding
        One for each check, some have more.

    Examples
    --------
    >>> print(Diagnosis("Spark here", (Finding("Java", "failed", "there is none", "install one"),)))
    Spark here: 1 of 1 checks failed
    Java  FAILED: there is none
          What to do: install one
    """

    title: str
    findings: tuple[Finding, ...]

    @property
    def ok(self) -> bool:
        """Whether nothing failed."""
        return not self.failed

    @property
    def failed(self) -> tuple[Finding, ...]:
        """What failed."""
        return tuple(finding for finding in self.findings if finding.state == "failed")

    def __getitem__(self, index: Any) -> Any:
        return self.findings[index]

    def __len__(self) -> int:
        return len(self.findings)

    def _card(self) -> Card:
        facts: dict[str, str] = {}
        for finding in self.findings:
            said = finding.cause if finding.state == "ok" else f"{_MARKS[finding.state]}: {finding.cause}"
            said += f"\nWhat to do: {finding.mend}" if finding.mend else ""
            facts[finding.check] = f"{facts[finding.check]}\n{said}" if finding.check in facts else said
        count = len(self.failed)
        outcome = f"{count} of {len(self.findings)} checks failed" if count else "nothing failed"
        return Card(f"{self.title}: {outcome}", facts)

    def __repr__(self) -> str:
        return f"<{self._card().title}>"

    def __str__(self) -> str:
        return self._card().text()

    def __rich__(self) -> Any:
        return self._card().rich()

    def _repr_html_(self) -> str:
        return self._card().html().replace("\nWhat to do:", "<br>What to do:")

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        printer.text(repr(self) if cycle else str(self))


def doctor(
    preset: str | None = None, *, lake: str | Path | None = None, start: bool | None = None, **overrides: str
) -> Diagnosis:
    """Look for what keeps a Spark session from starting, or a lake from being read, and say what to do.

    Looked at are: Java, the versions of Python and its packages, ports, memory, the master or the server of a cluster,
    its secret, permissions and quota on Kubernetes, and the lake. Nothing is changed. Each check has its time, and is
    given up after that.

    Parameters
    ----------
    preset : str, optional
        As for `spark`, like the overrides.
    lake : str or Path, optional
        The lake; by default what GPDATA_LAKE names, else ``lake``, which may not be there.
    start : bool, optional
        Start a session in another process, let an executor compute, and compare the versions on both sides. By
        default that is done where a session lives already, which is asked, and for a Spark Connect server that is
        named: both take seconds.
    **overrides : str
        Settings on top of the preset, as for `spark`.

    Returns
    -------
    Diagnosis
        A sequence of findings, each with `check`, `state` ("ok", "warning", "failed"), `cause` and `mend`. `ok` says
        whether nothing failed.

    Raises
    ------
    InvalidInput
        There is no such preset or setting.

    Examples
    --------
    >>> doctor("locl")
    Traceback (most recent call last):
    gpdata.errors.InvalidInput: the preset 'locl' was asked for; did you mean 'local'?
    """
    if preset is not None and preset not in PRESETS:
        raise InvalidInput(f"the preset {preset!r} was asked for; {near(preset, PRESETS)}")
    return examine(preset, lake=lake, start=start, overrides=overrides)


def examine(
    preset: str | None,
    *,
    lake: str | Path | None = None,
    start: bool | None = None,
    overrides: dict[str, str] | None = None,
    root: Path = Path("/"),
    seconds: float = _SECONDS,
) -> Diagnosis:
    """Run the checks; `root` is where the system's files are, `seconds` what each check may take."""
    from gpdata.sessions.session import plan_of, settings_directory

    environment = spark_environment()
    conf = settings_directory(environment)
    session, findings = _live(seconds)
    try:
        made = plan_of(session) if session is not None and not preset and not overrides else None
        wanted = made or plan(preset, overrides or {}, environment, conf)
    except InvalidInput as error:
        cause, _, mend = str(error).partition("; ")
        findings.append(Finding("settings", "failed", cause, mend))
        wanted = Plan(preset or environment.preset or "local", {}, {})
    situation = Situation(
        plan=wanted,
        effective=defaults(conf) | dict(wanted.settings),
        environment=environment,
        session=session,
        lake=str(settings().lake if lake is None else lake),
        must_lake=lake is not None,
        root=root,
        preset=preset,
        overrides=overrides or {},
    )
    for name, check in _checks(situation, start, bool(findings)):
        if name == "session" and {finding.check for finding in findings if finding.state == "failed"} & _BARS:
            continue
        findings += _run(name, check, situation, seconds)
    where = "the live session" if session is not None else f"the preset {wanted.preset!r}"
    return Diagnosis(f"Spark with {where}", tuple(findings))


def _live(seconds: float) -> tuple[Any, list[Finding]]:
    """Return the session that lives here, asked with a deadline: its JVM may hang."""
    import sys

    if "pyspark" not in sys.modules:
        return None, []
    from gpdata.sessions.session import live

    found: list[Any] = []
    _within(lambda: found.append(live()), seconds)
    if found:
        return found[0], []
    cause = "a Spark session lives in this process, and its JVM does not answer"
    return None, [Finding("live session", "failed", cause, "restart the kernel, or this Python")]


def _checks(situation: Situation, start: bool | None, unclear: bool) -> Iterator[tuple[str, Check]]:
    from gpdata.sessions import checks_cluster, checks_kubernetes, checks_lake, checks_machine, checks_session

    yield "Java", checks_machine.java
    yield "versions", checks_machine.versions
    yield "Python of the workers", checks_machine.worker_python
    if not unclear:
        yield "ports", checks_machine.ports
        yield "memory", checks_machine.memory
        yield "authentication", checks_cluster.secret
        yield "master", checks_cluster.master
        yield "Spark Connect", checks_cluster.connect
        yield "cluster permissions", checks_kubernetes.kubernetes
    yield "lake", checks_lake.lake
    remote = bool(situation.plan.remote and situation.plan.remote.startswith("sc://"))
    wanted = start if start is not None else remote
    if situation.session is not None or (wanted and not unclear):
        yield "session", checks_session.session


def _run(name: str, check: Check, situation: Situation, seconds: float) -> list[Finding]:
    from gpdata.sessions.checks_session import JOB_SECONDS, START_SECONDS

    found: list[Finding] = []
    problem: list[BaseException] = []

    def run() -> None:
        try:
            found.extend(check(situation))
        except Exception as error:  # a check that breaks is a finding; the others go on
            problem.append(error)

    allowed = START_SECONDS + JOB_SECONDS + 2 * seconds + 60 if name == "session" else seconds
    if not _within(run, allowed):
        cause = f"no answer within {allowed:.0f} s"
        return [
            Finding(name, "failed", cause, "try again; what hangs is elsewhere, or this machine has too much to do")
        ]
    if problem:
        error = problem[0]
        cause = f"{type(error).__name__}: {error}".splitlines()[0][:400]
        found.append(Finding(name, "failed", cause, "please report this as a fault of gpdata, where it is not yours"))
    return found


def _within(act: Callable[[], object], seconds: float) -> bool:
    """Whether it was done in that time; else it goes on in its thread, which nobody waits for."""
    thread = threading.Thread(target=act, daemon=True)
    thread.start()
    thread.join(seconds)
    return not thread.is_alive()
