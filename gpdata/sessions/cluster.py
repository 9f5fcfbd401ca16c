"""What a session is started with: a preset, what the place says (master, addresses, secret), and the overrides."""

from __future__ import annotations

import re
import secrets
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from gpdata.config import SparkEnvironment
from gpdata.errors import InvalidInput, near
from gpdata.sessions.presets import PRESETS

POD_TEMPLATE = "executor-pod.yaml"
MASTER_PORT, CONNECT_PORT = 7077, 15002
_SECRET = re.compile(r"secret|password|passwd|token|credential|access\.?key|private\.?key", re.IGNORECASE)
_SIZES = ("small", "large")


@dataclass(frozen=True)
class Plan:
    """What a session will be started with.

    Parameters
    ----------
    preset : str
        Its name.
    settings : mapping of str to str
        Every setting that is given to Spark, on top of spark-defaults.conf.
    asked : mapping of str to str
        Those that a live session must have to be the same; others are made anew for each session.
    remote : str or None
        The Spark Connect server; None: none is named.
    own_server : bool
        Whether a Spark Connect server of one's own is to be started.
    given : frozenset of str
        The names of the overrides.
    """

    preset: str
    settings: Mapping[str, str] = field(repr=False)
    asked: Mapping[str, str] = field(repr=False)
    remote: str | None = None
    own_server: bool = False
    given: frozenset[str] = frozenset()

    @property
    def master(self) -> str:
        """The master; empty where a server has its own."""
        return self.settings.get("spark.master", "")


def hidden(name: str) -> bool:
    """Whether a setting is not to be shown, nor to stand in a command line.

    Examples
    --------
    >>> hidden("spark.authenticate.secret"), hidden("spark.hadoop.fs.s3a.access.key"), hidden("spark.master")
    (True, True, False)
    """
    return bool(_SECRET.search(name)) and not name.endswith((".file", ".secretBitLength"))


def named(overrides: Mapping[str, object]) -> dict[str, str]:
    """Return overrides under Spark's names, as texts.

    Raises
    ------
    InvalidInput
        One is no setting of Spark.

    Examples
    --------
    >>> named({"spark__driver__memory": "8g", "spark__ui__enabled": True})
    {'spark.driver.memory': '8g', 'spark.ui.enabled': 'true'}
    """
    settings = {
        name.replace("__", "."): str(value).lower() if isinstance(value, bool) else str(value)
        for name, value in overrides.items()
    }
    if wrong := [name for name in settings if not name.startswith("spark.")]:
        raise InvalidInput(
            f"the setting {wrong[0]!r} was given; Spark's begin with 'spark.': write spark__driver__memory='8g' "
            "for spark.driver.memory"
        )
    return settings


def plan(preset: str | None, overrides: Mapping[str, object], environment: SparkEnvironment, conf: Path) -> Plan:
    """Work out what a session is started with; nothing is started, and nothing is asked over a network.

    Parameters
    ----------
    preset : str or None
        The preset; None: GPDATA_SPARK_PRESET's, else "local".
    overrides : mapping
        Settings on top.
    environment : SparkEnvironment
        What the site says.
    conf : Path
        The directory of spark-defaults.conf.

    Returns
    -------
    Plan
        The settings.

    Raises
    ------
    InvalidInput
        There is no such preset or setting, or the place does not say what the preset needs.
    """
    name = preset or environment.preset or "local"
    if name not in PRESETS:
        whose = "was asked for" if preset else "is GPDATA_SPARK_PRESET's"
        raise InvalidInput(f"the preset {name!r} {whose}; {near(name, PRESETS)}")
    asked = named(overrides)
    given = frozenset(asked)
    remote = asked.get("spark.remote") or environment.remote
    if remote:
        return Plan(name, {**asked, "spark.remote": remote}, asked, remote, given=given)
    if name == "local":
        settings = dict(PRESETS[name]) | asked
        return Plan(name, settings, settings, given=given)
    if name == "connect":
        settings = dict(PRESETS[name]) | asked
        return Plan(name, settings, settings, own_server=True, given=given)
    fixed = dict(PRESETS[name]) | {"spark.master": _master(name, asked, environment)} | asked
    if fixed["spark.master"].startswith("k8s://"):
        if name in _SIZES:
            fixed = dict(PRESETS[f"k8s-{name}"]) | fixed
        fixed |= {key: value for key, value in _kubernetes(asked, environment, conf).items() if key not in asked}
        own = _pod(fixed, asked, environment)
    else:
        fixed |= {key: value for key, value in _secret(environment).items() if key not in asked}
        own = _towards(fixed, asked)
    return Plan(name, fixed | own, fixed, given=given)


def _master(preset: str, asked: Mapping[str, str], environment: SparkEnvironment) -> str:
    master = asked.get("spark.master") or environment.master
    kubernetes = f"k8s://{environment.kubernetes}" if environment.kubernetes else None
    if preset.startswith("k8s-"):
        master = master if master and master.startswith("k8s://") else asked.get("spark.master") or kubernetes
        if master is None or not master.startswith("k8s://"):
            raise InvalidInput(
                f"the preset {preset!r} was asked for, and {f'the master is {master!r}' if master else 'no master'}"
                f"{'' if master else ' is named outside of a cluster'}; valid is an address such as "
                "'k8s://https://host:443': set GPDATA_SPARK_MASTER, or run this in a pod of the cluster"
            )
        return master
    if preset in _SIZES:
        master = master or kubernetes
    if master is None:
        raise InvalidInput(
            f"the preset {preset!r} was asked for, and no cluster is named; set GPDATA_SPARK_MASTER to an address such "
            "as 'spark://host:7077', or give spark__master=...; the preset 'local' needs no cluster"
        )
    if not master.startswith(("spark://", *(("k8s://",) if preset in _SIZES else ()))):
        raise InvalidInput(
            f"the preset {preset!r} was asked for with the master {master!r}; valid is an address such as "
            "'spark://host:7077'; the preset 'local' is for this machine, 'k8s-small' for Kubernetes"
        )
    return master


def addresses(master: str) -> list[tuple[str, int]]:
    """Return the hosts and ports of a ``spark://`` or ``sc://`` address.

    Raises
    ------
    InvalidInput
        It is none.

    Examples
    --------
    >>> addresses("spark://one:7077,two:7078"), addresses("sc://here/;use_ssl=true")
    ([('one', 7077), ('two', 7078)], [('here', 15002)])
    """
    scheme, _, rest = master.partition("://")
    usual = {"spark": MASTER_PORT, "sc": CONNECT_PORT}.get(scheme)
    found = []
    try:
        for place in rest.partition("/")[0].split(","):
            parts = urlsplit(f"//{place}")
            found.append((parts.hostname, parts.port or usual))
    except ValueError:
        found = []
    if usual is None or not found or not all(host for host, _ in found):
        shown = "sc://host:15002" if scheme == "sc" else "spark://host:7077"
        raise InvalidInput(f"the address {master!r} was given, which names no host and port; valid is '{shown}'")
    return [(str(host), int(port or 0)) for host, port in found]


def _towards(settings: Mapping[str, str], asked: Mapping[str, str]) -> dict[str, str]:
    """The address under which the workers reach this machine: the one from which it reaches the master."""
    if "spark.driver.host" in asked:
        return {}
    for host, port in addresses(settings["spark.master"]):
        try:
            kind, _, _, _, place = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)[0]
            with socket.socket(kind, socket.SOCK_DGRAM) as probe:
                probe.connect(place)  # of a datagram: nothing is sent
                own = str(probe.getsockname()[0])
        except OSError:  # a name that nobody knows; gpdata.doctor and the start itself say so
            continue
        return {"spark.driver.host": own, "spark.driver.bindAddress": own}
    return {}


def _secret(environment: SparkEnvironment) -> dict[str, str]:
    """The settings of a cluster with a secret, which its master and workers have too."""
    if environment.secret_file is None:
        return {}
    try:
        secret = Path(environment.secret_file).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInput(
            f"GPDATA_SPARK_SECRET_FILE is {environment.secret_file!r}, which cannot be read ({error}); "
            "name a file with the cluster's secret that you may read, or unset it"
        ) from error
    if not secret:
        raise InvalidInput(
            f"GPDATA_SPARK_SECRET_FILE is {environment.secret_file!r}, which is empty; "
            "write the cluster's secret into it (spark.authenticate.secret of its master), or unset it"
        )
    return {
        "spark.authenticate": "true",
        "spark.authenticate.secret": secret,
        "spark.network.crypto.enabled": "true",
    }


def _kubernetes(asked: Mapping[str, str], environment: SparkEnvironment, conf: Path) -> dict[str, str]:
    """What only the cluster knows."""
    namespace = asked.get("spark.kubernetes.namespace") or environment.namespace
    image = asked.get("spark.kubernetes.container.image") or environment.image
    lacks = [
        variable
        for variable, value in (("GPDATA_SPARK_NAMESPACE", namespace), ("GPDATA_SPARK_IMAGE", image))
        if value is None
    ]
    if lacks:
        raise InvalidInput(
            f"Spark on Kubernetes needs a namespace and an image for its executors, and {' and '.join(lacks)} "
            f"{'are' if len(lacks) > 1 else 'is'} not set; the chart sets both in a user's server: set them, or give "
            "spark__kubernetes__namespace=... and spark__kubernetes__container__image=..."
        )
    settings = {
        "spark.kubernetes.namespace": str(namespace),
        "spark.kubernetes.container.image": str(image),
        "spark.kubernetes.executor.podTemplateFile": str(conf / POD_TEMPLATE),
        "spark.kubernetes.executor.podTemplateContainerName": "spark-executor",
    }
    if environment.fallback:
        settings["spark.storage.decommission.fallbackStorage.path"] = environment.fallback.rstrip("/") + "/"
        settings["spark.storage.decommission.fallbackStorage.cleanUp"] = "true"
    return settings


def _pod(settings: Mapping[str, str], asked: Mapping[str, str], environment: SparkEnvironment) -> dict[str, str]:
    """What is made for each session: its address, which is bound too (executors dial what is bound), and its name."""
    address = asked.get("spark.driver.host") or environment.pod_ip or _own_address()
    # Fallback storage files blocks under the application's id, which the executors must know from the start.
    own = {
        "spark.driver.host": address,
        "spark.driver.bindAddress": address,
        "spark.app.id": f"gpdata-{secrets.token_hex(8)}",
    }
    return {name: value for name, value in own.items() if name not in asked}


def _own_address() -> str:
    try:
        address = socket.gethostbyname(socket.gethostname())
    except OSError:
        address = "127."
    if address.startswith("127."):
        raise InvalidInput(
            "the executors must reach this process, and its pod's address is not known; set GPDATA_POD_IP from the "
            "pod's status.podIP, or give spark__driver__host=..."
        )
    return address


def defaults(conf: Path) -> dict[str, str]:
    r"""Read spark-defaults.conf.

    Parameters
    ----------
    conf : Path
        Its directory.

    Returns
    -------
    dict of str to str
        Empty where there is none.

    Examples
    --------
    >>> import tempfile
    >>> conf = Path(tempfile.mkdtemp())
    >>> written = (conf / "spark-defaults.conf").write_text("# ours\nspark.ui.enabled   false\nspark.app.name=x y")
    >>> defaults(conf)
    {'spark.ui.enabled': 'false', 'spark.app.name': 'x y'}
    """
    file = conf / "spark-defaults.conf"
    settings = {}
    for line in file.read_text(encoding="utf-8").splitlines() if file.is_file() else ():
        text = line.strip()
        if text and text[0] not in "#!" and (found := re.match(r"([^\s=:]+)(?:\s*[=:]\s*|\s+)(.*)", text)):
            settings[found[1]] = found[2].strip()
    return settings
