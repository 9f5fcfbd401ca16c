"""What a person can set for the hub of one machine: the only place of hub/ that reads HUB_* variables."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import urlsplit

from gpdata.errors import InvalidInput

ROOT = Path(__file__).resolve().parent.parent
SYSTEM, FOLDERS = "system", "folders"
SHARED = Path("/srv/gpdata-shared")
LEAST_MEMORY = 512 * 2**20
"""JupyterLab and one kernel with gpdata take about 300 MB."""
LEAST_IDLE = 20
UNITS = {"M": 2**20, "G": 2**30, "T": 2**40}
SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


@dataclass(frozen=True, slots=True)
class Settings:
    """The settings of the hub.

    Parameters
    ----------
    state : Path
        The private directory (mode 0700) of accounts, cookie secret and locks (HUB_STATE).
    ip : str
        The address that the proxy listens on (HUB_IP).
    port : int
        The port that the proxy listens on (HUB_PORT).
    ingest_port : int
        The port of the loopback that the ingest service listens on (HUB_INGEST_PORT).
    users : str
        "system": each user is an account of this machine. "folders": each user is a folder (HUB_USERS).
    lake : Path
        The lake that GPDATA_LAKE names in every user's server.
    notebooks : Path
        The folder of notebooks that each user gets a copy of (HUB_NOTEBOOKS).
    tls_key, tls_cert : Path or None
        The key and the certificate for HTTPS (HUB_TLS_KEY, HUB_TLS_CERT); None: plain HTTP.
    memory : int or None
        The most memory of one user's server with all that it starts, in bytes (HUB_MEMORY); None: no limit.
    cpus : float or None
        The most processors of one user's server with all that it starts (HUB_CPUS); None: no limit.
    idle : int
        After how many seconds without anything running and any open page a server is stopped (HUB_IDLE); 0: never.
    shared : Path
        The folder that every user finds at ``~/shared`` (HUB_SHARED).
    domain : str or None
        The hub's address where each user's server has a domain of its own below it (HUB_DOMAIN); None: one for all.
    """

    state: Path
    ip: str
    port: int
    ingest_port: int
    users: str
    lake: Path
    notebooks: Path
    tls_key: Path | None
    tls_cert: Path | None
    memory: int | None
    cpus: float | None
    idle: int
    shared: Path
    domain: str | None

    @property
    def db_url(self) -> str:
        """The address of the database of users, as SQLAlchemy writes it."""
        return f"sqlite:///{self.state / 'jupyterhub.sqlite'}"

    @property
    def look(self) -> int:
        """After how many seconds each the hub looks who is idle, and servers tell that they are not."""
        return max(5, min(self.idle // 4, 300)) if self.idle else 300

    @property
    def url(self) -> str:
        """The address that a browser opens, as far as the settings tell it."""
        if self.domain:
            return f"{self.domain}/"
        host = f"[{self.ip}]" if ":" in self.ip else self.ip
        return f"{'https' if self.tls_key else 'http'}://{host}:{self.port}/"


def settings(environment: Mapping[str, str] | None = None, *, root: bool | None = None) -> Settings:
    """Read the hub's settings from the environment; what is unset or empty keeps its default.

    Parameters
    ----------
    environment : mapping of str to str, optional
        The variables; those of this process where it is left out.
    root : bool, optional
        Whether root runs the hub; by default whether root runs this process.

    Returns
    -------
    Settings
        Every setting, checked.

    Raises
    ------
    InvalidInput
        A value is none of the valid ones, or the hub would listen beyond this machine without TLS.

    Examples
    --------
    >>> settings({"HUB_PORT": "8123"}, root=False).url
    'http://127.0.0.1:8123/'
    """
    given = os.environ if environment is None else environment
    is_root = os.geteuid() == 0 if root is None else root
    home_state = Path(given.get("XDG_STATE_HOME") or Path.home() / ".local" / "state")
    users = _users(given.get("HUB_USERS") or (SYSTEM if is_root else FOLDERS), root=is_root)
    state = Path(given.get("HUB_STATE") or home_state / "gpdata-hub").absolute()
    key, cert = (Path(given[name]).absolute() if given.get(name) else None for name in ("HUB_TLS_KEY", "HUB_TLS_CERT"))
    if (key is None) != (cert is None):
        raise InvalidInput("only one of HUB_TLS_KEY and HUB_TLS_CERT is set; set both for HTTPS, or neither.")
    return Settings(
        state=state,
        ip=_ip(given.get("HUB_IP") or "127.0.0.1", encrypted=key is not None),
        port=(port := _port("HUB_PORT", given.get("HUB_PORT") or "8000")),
        # 8470 beside 8000; that far from another hub's port, so that two hubs do not meet
        ingest_port=_port("HUB_INGEST_PORT", given.get("HUB_INGEST_PORT") or str((port + 470 - 1) % 65535 + 1)),
        users=users,
        lake=Path(given.get("GPDATA_LAKE") or ROOT / "example-lake").absolute(),
        notebooks=Path(given.get("HUB_NOTEBOOKS") or ROOT / "example-notebooks").absolute(),
        tls_key=key,
        tls_cert=cert,
        memory=_memory(given.get("HUB_MEMORY") or _half()),
        cpus=_cpus(given.get("HUB_CPUS") or "none"),
        idle=_idle(given.get("HUB_IDLE") or "1h"),
        shared=Path(given.get("HUB_SHARED") or (SHARED if users == SYSTEM else state / "shared")).absolute(),
        domain=_domain(given.get("HUB_DOMAIN"), encrypted=key is not None),
    )


def _half() -> str:
    """Half of this machine's memory: one user never takes all, and alone can do much."""
    megabytes = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2**21
    return f"{max(megabytes, LEAST_MEMORY // 2**20)}M"


def _memory(text: str) -> int | None:
    if text == "none":
        return None
    found = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)([MGT])", text)
    amount = int(float(found[1]) * UNITS[found[2]]) if found else 0
    if amount < LEAST_MEMORY:
        raise InvalidInput(
            f"HUB_MEMORY is {text!r}; valid is what one user's server may take, a number with M, G or T, at least "
            "512M, such as 8G; or none for no limit."
        )
    return amount


def _cpus(text: str) -> float | None:
    if text == "none":
        return None
    if not re.fullmatch(r"[0-9]{1,4}(\.[0-9]{1,3})?", text) or float(text) < 0.1:
        raise InvalidInput(
            f"HUB_CPUS is {text!r}; valid is how many processors one user's server may take, from 0.1, such as 2 or "
            "1.5; or none for no limit."
        )
    return float(text)


def _idle(text: str) -> int:
    if text == "never":
        return 0
    found = re.fullmatch(r"([0-9]{1,7})([smhd])", text)
    seconds = int(found[1]) * SECONDS[found[2]] if found else 0
    if seconds < LEAST_IDLE:
        raise InvalidInput(
            f"HUB_IDLE is {text!r}; valid is a whole number with s, m, h or d, at least 20s, such as 90m; or never."
        )
    return seconds


def _domain(text: str | None, *, encrypted: bool) -> str | None:
    if not text:
        return None
    parts = urlsplit(text)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.path.strip("/") or parts.query:
        raise InvalidInput(
            f"HUB_DOMAIN is {text!r}; valid is the address that browsers open, such as https://hub.lab.org, of which "
            "DNS and the certificate know every name below it too (*.hub.lab.org)."
        )
    if encrypted and parts.scheme != "https":
        raise InvalidInput(f"HUB_DOMAIN is {text!r}, and the hub has a certificate: write https://{parts.netloc}")
    return text.rstrip("/")


def _port(name: str, text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 65535:
        raise InvalidInput(f"{name} is {text!r}; valid is a whole number from 1 to 65535, such as 8000.")
    return int(text)


def _ip(text: str, *, encrypted: bool) -> str:
    try:
        loopback = ip_address(text).is_loopback
    except ValueError:
        raise InvalidInput(f"HUB_IP is {text!r}; valid is an IP address of this machine, such as 127.0.0.1.") from None
    if not loopback and not encrypted:
        raise InvalidInput(
            f"HUB_IP is {text}, which other machines reach, and passwords would cross the network in the clear. Set "
            "HUB_TLS_KEY and HUB_TLS_CERT, or leave HUB_IP at 127.0.0.1 behind an SSH tunnel or a TLS proxy."
        )
    return text


def _users(text: str, *, root: bool) -> str:
    if text not in (SYSTEM, FOLDERS):
        raise InvalidInput(f"HUB_USERS is {text!r}; valid are '{SYSTEM}' (accounts of this machine) and '{FOLDERS}'.")
    if text == SYSTEM and not root:
        raise InvalidInput(
            f"HUB_USERS is '{SYSTEM}', and only root may start servers as other users. Run the hub as root, or set "
            f"HUB_USERS={FOLDERS}, which keeps users apart by folder only and isolates nothing."
        )
    return text


def private_directory(path: Path) -> Path:
    """Make the directory with mode 0700, or check that it has it.

    Parameters
    ----------
    path : Path
        The directory; its parents are made too.

    Returns
    -------
    Path
        The same path.

    Raises
    ------
    InvalidInput
        The directory exists and others may enter or read it, or it belongs to somebody else.

    Examples
    --------
    >>> import tempfile
    >>> oct(private_directory(Path(tempfile.mkdtemp()) / "state").stat().st_mode & 0o777)
    '0o700'
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        path.mkdir(mode=0o700)
    except FileExistsError:
        found = path.stat()
        if found.st_mode & 0o077 or found.st_uid != os.geteuid():
            raise InvalidInput(
                f"{path} has mode {found.st_mode & 0o777:04o} and belongs to uid {found.st_uid}; the hub's accounts "
                f"and keys need a directory of its own with mode 0700. If it is the hub's: chmod 700 {path}. "
                "If not: name another one in HUB_STATE."
            ) from None
    return path
