"""Where an S3-compatible store is, and who asks it: from the environment, checked, and kept nowhere."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from gpdata.config import store_variables
from gpdata.errors import InvalidInput


@dataclass(frozen=True, slots=True)
class StoreEnvironment:
    """Where an S3-compatible store is, and who asks; what is None is found by the store's own chain of sources.

    Parameters
    ----------
    endpoint : str or None
        AWS_ENDPOINT_URL_S3 or AWS_ENDPOINT_URL: the address of a store that is not AWS's.
    access_key_id, secret_access_key, session_token : str or None
        AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN; never shown.
    region : str
        AWS_REGION or AWS_DEFAULT_REGION.
    plain_http : bool
        Whether the store is asked without TLS.
    """

    endpoint: str | None = None
    access_key_id: str | None = field(default=None, repr=False)
    secret_access_key: str | None = field(default=None, repr=False)
    session_token: str | None = field(default=None, repr=False)
    region: str = "us-east-1"
    plain_http: bool = False


def store_environment(environment: Mapping[str, str] | None = None) -> StoreEnvironment:
    """Read where an S3-compatible store is, and the credentials for it.

    Parameters
    ----------
    environment : mapping of str to str, optional
        The variables; those of this process where it is left out.

    Returns
    -------
    StoreEnvironment
        None where a variable is unset or empty.

    Raises
    ------
    InvalidInput
        The address is none, or lacks TLS and is not of this machine, and AWS_ALLOW_HTTP does not say that this is
        meant; or only one half of a key was given.

    Examples
    --------
    >>> store_environment({"AWS_ENDPOINT_URL": "http://127.0.0.1:8333"}).plain_http
    True
    """
    variables = store_variables(environment)
    name = "AWS_ENDPOINT_URL_S3" if variables.get("AWS_ENDPOINT_URL_S3") else "AWS_ENDPOINT_URL"
    endpoint = variables.get(name) or None
    plain = False
    if endpoint is not None:
        parts = urlsplit(endpoint)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.username or parts.password:
            raise InvalidInput(
                f"the environment variable {name} is no address of a store; valid is such as https://s3.example.org "
                "(keys go into AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY)"
            )
        plain = parts.scheme == "http"
        meant = variables.get("AWS_ALLOW_HTTP", "").strip().lower() in ("1", "true", "yes", "on")
        if plain and not meant and not is_loopback(parts.hostname):
            raise InvalidInput(
                f"{name} is {endpoint}: lines would pass unencrypted to another machine. Give an https:// address, or "
                "set AWS_ALLOW_HTTP=true where the network between is yours alone"
            )
    key, secret = (variables.get(half) or None for half in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"))
    if (key is None) != (secret is None):
        raise InvalidInput(
            "of AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY only one is set; set both, or neither where the machine "
            "has a role of its own"
        )
    return StoreEnvironment(
        endpoint=endpoint.rstrip("/") if endpoint else None,
        access_key_id=key,
        secret_access_key=secret,
        session_token=variables.get("AWS_SESSION_TOKEN") or None,
        region=variables.get("AWS_REGION") or variables.get("AWS_DEFAULT_REGION") or StoreEnvironment().region,
        plain_http=plain,
    )


def is_loopback(host: str) -> bool:
    """Say whether a host's name or address means this machine.

    Examples
    --------
    >>> is_loopback("127.0.0.1"), is_loopback("::1"), is_loopback("localhost"), is_loopback("10.0.0.1")
    (True, True, True, False)
    """
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
