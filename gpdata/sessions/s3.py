"""What a Spark session needs to read a lake in an S3-compatible store: S3A, and as little of an SDK as it uses.

hadoop-aws asks for Amazon's whole SDK in one jar of 650 MB, 300 services of which one is used. Here are the parts of
that very version that S3A calls, some 20 MB; Netty and the logging are Spark's own.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from importlib.resources import files

from gpdata.errors import InvalidInput
from gpdata.storage.environment import StoreEnvironment, store_environment

_SDK = {"3.5.0": "2.35.4", "3.4.3": "2.35.4", "3.4.2": "2.29.52", "3.4.1": "2.24.6"}
"""The version of Amazon's SDK that each version of hadoop-aws was built with."""
_PARTS = ("s3", "sts", "s3-transfer-manager", "apache-client", "netty-nio-client")
_EXCLUDED = (
    "software.amazon.awssdk:bundle",
    "org.wildfly.openssl:*",
    # Spark has these, and of one class there can be one version only.
    "io.netty:*",
    "org.apache.httpcomponents:*",
    "commons-codec:*",
    "commons-logging:*",
    "org.slf4j:*",
)


def s3_settings(environment: Mapping[str, str] | None = None, *, hadoop: str | None = None) -> dict[str, str]:
    """Return the settings with which a session reads ``s3://`` lakes, for `gpdata.spark`.

    Parameters
    ----------
    environment : mapping of str to str, optional
        Where the store is (AWS_ENDPOINT_URL, AWS_REGION); that of this process where left out.
    hadoop : str, optional
        The version of Hadoop that Spark brings; that of the installed pyspark where left out.

    Returns
    -------
    dict of str to str
        Settings of Spark's. No credential is among them: S3A takes keys from the environment of the driver and of
        each executor, or the machine's role where there are none.

    Raises
    ------
    InvalidInput
        The environment cannot be meant, or that version of Hadoop is not known here.

    Notes
    -----
    `spark.jars.packages` is fetched from Maven Central once, into ``~/.ivy2.5.2``; a site without it puts the jars
    into its image and leaves this setting out.

    Examples
    --------
    >>> found = s3_settings({"AWS_ENDPOINT_URL": "http://127.0.0.1:8333"}, hadoop="3.5.0")
    >>> found["spark.hadoop.fs.s3a.endpoint"], found["spark.jars.packages"].split(",")[0]
    ('http://127.0.0.1:8333', 'org.apache.hadoop:hadoop-aws:3.5.0')
    """
    store = store_environment(environment)
    version = hadoop or _hadoop()
    sdk = _SDK.get(version)
    if sdk is None:
        raise InvalidInput(
            f"this Spark brings Hadoop {version}, whose S3 client is not known here; known are {', '.join(_SDK)}. Set "
            f"spark.jars.packages to org.apache.hadoop:hadoop-aws:{version} yourself, which fetches 650 MB"
        )
    packages = [f"org.apache.hadoop:hadoop-aws:{version}"]
    packages += [f"software.amazon.awssdk:{part}:{sdk}" for part in _PARTS]
    return {
        "spark.jars.packages": ",".join(packages),
        "spark.jars.excludes": ",".join(_EXCLUDED),
        **_store_settings(store),
    }


def _store_settings(store: StoreEnvironment) -> dict[str, str]:
    settings = {
        "spark.hadoop.fs.s3a.endpoint.region": store.region,
        # The other one gains where one file is read over and over, and asks for a client of its own.
        "spark.hadoop.fs.s3a.input.stream.type": "classic",
    }
    if store.endpoint is not None:
        settings |= {
            "spark.hadoop.fs.s3a.endpoint": store.endpoint,
            "spark.hadoop.fs.s3a.path.style.access": "true",
            "spark.hadoop.fs.s3a.connection.ssl.enabled": str(not store.plain_http).lower(),
        }
    if store.access_key_id is not None:
        provider = "software.amazon.awssdk.auth.credentials.EnvironmentVariableCredentialsProvider"
        settings["spark.hadoop.fs.s3a.aws.credentials.provider"] = provider
    return settings


def _hadoop() -> str:
    """Return the version of Hadoop that the installed pyspark brings."""
    for jar in files("pyspark").joinpath("jars").iterdir():
        if found := re.fullmatch(r"hadoop-client-api-(.+)\.jar", jar.name):
            return found[1]
    raise InvalidInput(
        "the installed pyspark brings no Hadoop; say with hadoop= which version your Spark has, such as '3.5.0'"
    )
