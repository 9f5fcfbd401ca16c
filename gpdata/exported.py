"""Environment variables for programs that this process starts: the only module that sets any."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager


def export(variables: Mapping[str, str], *, replace: bool = False) -> None:
    """Set environment variables for programs that this process starts; what is set already stays.

    Parameters
    ----------
    variables : mapping of str to str
        The variables.
    replace : bool
        Whether what is set already does not stay.

    Examples
    --------
    >>> export({"SPARK_EXAMPLE": "1"})
    """
    for name, value in variables.items():
        if replace or name not in os.environ:
            os.environ[name] = value


def forget(*names: str) -> None:
    """Remove environment variables that a library set for its own use; those that are not set are no error.

    Examples
    --------
    >>> export({"SPARK_EXAMPLE_3": "1"})
    >>> forget("SPARK_EXAMPLE_3")
    """
    for name in names:
        os.environ.pop(name, None)


@contextmanager
def exported(variables: Mapping[str, str], *, replace: bool = False) -> Iterator[None]:
    """Set environment variables while a block runs; what is set already stays.

    Parameters
    ----------
    variables : mapping of str to str
        The variables.
    replace : bool
        Whether what is set already gives way, and comes back after the block.

    Examples
    --------
    >>> with exported({"SPARK_EXAMPLE_2": "1"}):
    ...     "SPARK_EXAMPLE_2" in os.environ
    True
    >>> "SPARK_EXAMPLE_2" in os.environ
    False
    """
    before = {name: os.environ.get(name) for name in variables if replace or name not in os.environ}
    export(variables, replace=replace)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
