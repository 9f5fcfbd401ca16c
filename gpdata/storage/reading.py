"""What other libraries need to read from a store: Arrow, delta-rs and Polars, each with the same credentials."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pyarrow as pa
import pyarrow.parquet as pq

from gpdata.storage.client import PATIENCE
from gpdata.storage.environment import StoreEnvironment, store_environment
from gpdata.storage.place import ObjectPath, Place

if TYPE_CHECKING:
    import pyarrow.dataset as ds
    import pyarrow.fs as pafs

_ATTEMPTS = 12
"""Of a call of Arrow's: its pauses double, so that together they outlast a restart of the store."""


def arrow_files() -> pafs.FileSystem:
    """Return Arrow's file system of the store that the environment names; one a process."""
    return _arrow_files(store_environment())


@lru_cache(maxsize=4)
def _arrow_files(environment: StoreEnvironment) -> pafs.FileSystem:
    import pyarrow.fs as pafs  # a lake of this machine is read without

    endpoint = urlsplit(environment.endpoint) if environment.endpoint else None
    given: dict[str, Any] = {"region": environment.region}
    if endpoint is not None:
        given |= {"endpoint_override": endpoint.netloc + endpoint.path.rstrip("/"), "scheme": endpoint.scheme}
    if environment.access_key_id is not None:
        given |= {
            "access_key": environment.access_key_id,
            "secret_key": environment.secret_access_key,
            "session_token": environment.session_token,
        }
    # Buckets are somebody's decision, never made by writing into one.
    return pafs.S3FileSystem(**given, retry_strategy=pafs.AwsStandardS3RetryStrategy(max_attempts=_ATTEMPTS))


def text_path(place: ObjectPath) -> str:
    """Return how Arrow's file system names an object."""
    return f"{place.bucket}/{place.key}"


def parquet(place: Place) -> pq.ParquetFile:
    """Open a Parquet file, wherever it lies; only what is read of it is fetched."""
    if isinstance(place, ObjectPath):
        return pq.ParquetFile(text_path(place), filesystem=arrow_files(), pre_buffer=True)
    return pq.ParquetFile(place)


def dataset(places: Sequence[ObjectPath], schema: pa.Schema) -> ds.Dataset:
    """Return the objects of a store as one dataset of Arrow's, which an engine can push columns and filters into."""
    import pyarrow.dataset as ds

    names = [text_path(place) for place in places]
    return ds.dataset(names, schema=schema, format="parquet", filesystem=arrow_files())


def delta_options() -> dict[str, str]:
    """Return what delta-rs is told of the store; nothing of it is written anywhere."""
    return {**_options(store_environment()), "aws_conditional_put": "etag", "retry_timeout": f"{PATIENCE:.0f}s"}


def polars_options() -> dict[str, str]:
    """Return what Polars is told of the store."""
    return _options(store_environment())


def _options(environment: StoreEnvironment) -> dict[str, str]:
    given = {
        "aws_endpoint_url": environment.endpoint,
        "aws_access_key_id": environment.access_key_id,
        "aws_secret_access_key": environment.secret_access_key,
        "aws_session_token": environment.session_token,
        "aws_region": environment.region,
        "aws_allow_http": "true" if environment.plain_http else None,
    }
    return {name: value for name, value in given.items() if value is not None}
