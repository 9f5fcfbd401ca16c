"""The settings that the environment can change: the only module that reads environment variables."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from gpdata.errors import InvalidInput

MIB = 2**20
MOST_BYTES = 512 * MIB
"""The greatest line and batch: no Arrow column of it outgrows 32-bit offsets, as `gpdata.wire.Limits` has it."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What a person can set once for all commands.

    Parameters
    ----------
    lake : str
        Where the lake is, when a command is not told (GPDATA_LAKE).
    owner : str or None
        Who the recorded runs belong to; None: nobody in particular (GPDATA_OWNER).
    max_line_bytes : int
        The longest line that is taken in, in bytes after decompression (GPDATA_MAX_LINE_BYTES).
    batch_bytes : int
        How much raw JSON goes into one batch of the lake, in bytes (GPDATA_BATCH_BYTES).
    traceback : bool
        Whether the command line shows the traceback of an error (GPDATA_TRACEBACK).
    server : str or None
        The address of the ingest service that is uploaded to (GPDATA_SERVER).
    token : str or None
        What tells the ingest service who uploads (GPDATA_TOKEN); never shown.
    me : str or None
        Whose runs are mine (GPDATA_OWNER, else the user of the hub whose server this is, JUPYTERHUB_USER).
    engine : str or None
        What answers, when `gpdata.open` is not told: "duckdb", "polars" or "spark"; None: DuckDB (GPDATA_ENGINE).

    Examples
    --------
    >>> Settings().max_line_bytes
    268435456
    """

    lake: str = "lake"
    owner: str | None = None
    max_line_bytes: int = 256 * MIB
    batch_bytes: int = 64 * MIB
    traceback: bool = False
    server: str | None = None
    token: str | None = field(default=None, repr=False)
    me: str | None = None
    engine: str | None = None


def settings(environment: Mapping[str, str] | None = None) -> Settings:
    """Read the settings from the environment; what is unset or empty keeps its default.

    Parameters
    ----------
    environment : mapping of str to str, optional
        The variables; those of this process where it is left out.

    Returns
    -------
    Settings
        Every setting, checked.

    Raises
    ------
    InvalidInput
        A number of bytes is not a whole number from 1 to 536,870,912.

    Examples
    --------
    >>> settings({"GPDATA_LAKE": "/data/lake", "GPDATA_BATCH_BYTES": "1000000"}).batch_bytes
    1000000
    """
    variables = os.environ if environment is None else environment
    default = Settings()
    return Settings(
        lake=variables.get("GPDATA_LAKE") or default.lake,
        owner=variables.get("GPDATA_OWNER") or None,
        max_line_bytes=_bytes(variables, "GPDATA_MAX_LINE_BYTES", default.max_line_bytes),
        batch_bytes=_bytes(variables, "GPDATA_BATCH_BYTES", default.batch_bytes),
        traceback=show_traceback(variables),
        server=variables.get("GPDATA_SERVER") or None,
        token=variables.get("GPDATA_TOKEN") or None,
        me=variables.get("GPDATA_OWNER") or variables.get("JUPYTERHUB_USER") or None,
        engine=variables.get("GPDATA_ENGINE") or None,
    )


def show_traceback(environment: Mapping[str, str] | None = None) -> bool:
    """Say whether tracebacks are wanted; never fails, so that an error handler can ask.

    Parameters
    ----------
    environment : mapping of str to str, optional
        The variables; those of this process where it is left out.

    Returns
    -------
    bool
        True where GPDATA_TRACEBACK is set to anything but 0, false, no or off.

    Examples
    --------
    >>> show_traceback({"GPDATA_TRACEBACK": "1"}), show_traceback({})
    (True, False)
    """
    variables = os.environ if environment is None else environment
    return variables.get("GPDATA_TRACEBACK", "").strip().lower() not in ("", "0", "false", "no", "off")


@dataclass(frozen=True, slots=True)
class HubEnvironment:
    """What a JupyterHub tells a service that it starts, or a chart one beside it.

    Parameters
    ----------
    api_url : str or None
        The address of the hub's API (JUPYTERHUB_API_URL).
    prefix : str
        What the hub's proxy leaves before each path, without a slash at its end (JUPYTERHUB_SERVICE_PREFIX).
    service_url : str or None
        Where the hub's proxy looks for the service (JUPYTERHUB_SERVICE_URL).
    """

    api_url: str | None
    prefix: str
    service_url: str | None


def hub_environment(environment: Mapping[str, str] | None = None) -> HubEnvironment:
    """Read what a JupyterHub tells its services.

    Parameters
    ----------
    environment : mapping of str to str, optional
        The variables; those of this process where it is left out.

    Returns
    -------
    HubEnvironment
        None, or an empty prefix, where a variable is unset or empty.

    Examples
    --------
    >>> hub_environment({"JUPYTERHUB_SERVICE_PREFIX": "/services/gpdata/"}).prefix
    '/services/gpdata'
    """
    variables = os.environ if environment is None else environment
    return HubEnvironment(
        api_url=variables.get("JUPYTERHUB_API_URL") or None,
        prefix=variables.get("JUPYTERHUB_SERVICE_PREFIX", "").rstrip("/"),
        service_url=variables.get("JUPYTERHUB_SERVICE_URL") or None,
    )


@dataclass(frozen=True, slots=True)
class SparkEnvironment:
    """What a site says of its Spark, its Java and its cluster.

    Parameters
    ----------
    java_home : str or None
        JAVA_HOME.
    spark_home : str or None
        SPARK_HOME: a Spark that the site installed.
    conf_dir : str or None
        SPARK_CONF_DIR: the directory of its settings.
    remote : str or None
        SPARK_REMOTE: the address of a Spark Connect server, such as ``sc://host:15002``.
    python : str or None
        PYSPARK_PYTHON: the Python that runs functions beside Spark.
    preset : str or None
        GPDATA_SPARK_PRESET: what `gpdata.spark` starts when it is not told.
    master : str or None
        GPDATA_SPARK_MASTER: the master of a cluster, such as ``spark://host:7077`` or ``k8s://https://host:443``.
    secret_file : str or None
        GPDATA_SPARK_SECRET_FILE: a file with the secret of a standalone cluster.
    namespace : str or None
        GPDATA_SPARK_NAMESPACE: where the executors are on Kubernetes.
    image : str or None
        GPDATA_SPARK_IMAGE: what the executors are made of on Kubernetes.
    fallback : str or None
        GPDATA_SPARK_FALLBACK: storage that all executors reach, for what those that leave cannot hand on.
    pod_ip : str or None
        GPDATA_POD_IP: the address of this pod.
    kubernetes : str or None
        The address of the API of the cluster in which this process runs (KUBERNETES_SERVICE_HOST and _PORT).
    """

    java_home: str | None
    spark_home: str | None
    conf_dir: str | None = None
    remote: str | None = None
    python: str | None = None
    preset: str | None = None
    master: str | None = None
    secret_file: str | None = None
    namespace: str | None = None
    image: str | None = None
    fallback: str | None = None
    pod_ip: str | None = None
    kubernetes: str | None = None


def spark_environment(environment: Mapping[str, str] | None = None) -> SparkEnvironment:
    """Read what a site says of its Spark, its Java and its cluster.

    Parameters
    ----------
    environment : mapping of str to str, optional
        The variables; those of this process where it is left out.

    Returns
    -------
    SparkEnvironment
        None where a variable is unset or empty.

    Examples
    --------
    >>> spark_environment({"JAVA_HOME": "/usr/lib/jvm/17"}).java_home
    '/usr/lib/jvm/17'
    >>> spark_environment({"KUBERNETES_SERVICE_HOST": "10.0.0.1", "KUBERNETES_SERVICE_PORT": "443"}).kubernetes
    'https://10.0.0.1:443'
    """
    variables = os.environ if environment is None else environment
    host, port = variables.get("KUBERNETES_SERVICE_HOST"), variables.get("KUBERNETES_SERVICE_PORT") or "443"
    if host and ":" in host:  # IPv6
        host = f"[{host}]"
    names = {
        "java_home": "JAVA_HOME",
        "spark_home": "SPARK_HOME",
        "conf_dir": "SPARK_CONF_DIR",
        "remote": "SPARK_REMOTE",
        "python": "PYSPARK_PYTHON",
        "preset": "GPDATA_SPARK_PRESET",
        "master": "GPDATA_SPARK_MASTER",
        "secret_file": "GPDATA_SPARK_SECRET_FILE",
        "namespace": "GPDATA_SPARK_NAMESPACE",
        "image": "GPDATA_SPARK_IMAGE",
        "fallback": "GPDATA_SPARK_FALLBACK",
        "pod_ip": "GPDATA_POD_IP",
    }
    said = {name: variables.get(variable) or None for name, variable in names.items()}
    return SparkEnvironment(**said, kubernetes=f"https://{host}:{port}" if host else None)


def store_variables(environment: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return what the environment says of an S3-compatible store and of who asks it: the variables AWS_* that are set.

    Parameters
    ----------
    environment : mapping of str to str, optional
        The variables; those of this process where it is left out.

    Returns
    -------
    dict of str to str
        By name; `gpdata.storage.environment` reads them.

    Examples
    --------
    >>> store_variables({"AWS_REGION": "eu-central-1", "HOME": "/home/ada"})
    {'AWS_REGION': 'eu-central-1'}
    """
    variables = os.environ if environment is None else environment
    return {name: value for name, value in variables.items() if name.startswith("AWS_") and value}


def memory_limit(environment: Mapping[str, str] | None = None) -> int | None:
    """Return how much memory a hub gives to a user's server, as JupyterHub tells it to what it starts (MEM_LIMIT).

    Parameters
    ----------
    environment : mapping of str to str, optional
        The variables; those of this process where it is left out.

    Returns
    -------
    int or None
        Bytes; None: nobody said.

    Examples
    --------
    >>> memory_limit({"MEM_LIMIT": "1073741824"})
    1073741824
    """
    text = (os.environ if environment is None else environment).get("MEM_LIMIT", "")
    return int(text) if text.isdecimal() else None


def compared(environment: Mapping[str, str] | None = None) -> bool:
    """Say whether a test compares what is printed (PYTEST_CURRENT_TEST, as where nbval runs a notebook).

    What shows how far something is then stays away: how often it appears depends on the machine.

    Parameters
    ----------
    environment : mapping of str to str, optional
        In place of the environment of the process.

    Examples
    --------
    >>> compared({})
    False
    """
    return "PYTEST_CURRENT_TEST" in (os.environ if environment is None else environment)


def user_cache(environment: Mapping[str, str] | None = None) -> Path:
    """Return the directory for what gpdata can make again: below XDG_CACHE_HOME, else ``~/.cache``.

    Parameters
    ----------
    environment : mapping of str to str, optional
        The variables; those of this process where it is left out.

    Returns
    -------
    Path
        It need not exist.

    Examples
    --------
    >>> user_cache({"XDG_CACHE_HOME": "/var/cache/ada"}).as_posix()
    '/var/cache/ada/gpdata'
    """
    return _user_directory("XDG_CACHE_HOME", ".cache", environment)


def user_state(environment: Mapping[str, str] | None = None) -> Path:
    """Return the directory for what must not get lost: below XDG_STATE_HOME, else ``~/.local/state``.

    Parameters
    ----------
    environment : mapping of str to str, optional
        The variables; those of this process where it is left out.

    Returns
    -------
    Path
        It need not exist.

    Examples
    --------
    >>> user_state({"XDG_STATE_HOME": "/var/lib/ada"}).as_posix()
    '/var/lib/ada/gpdata'
    """
    return _user_directory("XDG_STATE_HOME", ".local/state", environment)


def _user_directory(name: str, default: str, environment: Mapping[str, str] | None) -> Path:
    root = (os.environ if environment is None else environment).get(name)
    return (Path(root) if root else Path.home() / default) / "gpdata"


def _bytes(variables: Mapping[str, str], name: str, default: int) -> int:
    text = variables.get(name)
    if not text:
        return default
    try:
        value = int(text)
    except ValueError:
        value = 0
    if not 1 <= value <= MOST_BYTES:
        raise InvalidInput(
            f"the environment variable {name} is {text[:40]!r}; valid is a whole number of bytes from 1 to "
            f"{MOST_BYTES}; unset it for the default, {default}"
        )
    return value
