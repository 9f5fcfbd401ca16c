"""Python functions for other processes: by name where these can import them, whole where they cannot."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from typing import Any

from gpdata.errors import InvalidInput


def packed(function: Callable[..., Any]) -> bytes:
    """Pickle a function so that `pickle.loads` of another process of this Python gives it.

    Parameters
    ----------
    function : callable
        A function of a module is named; one of a notebook, a script or another function goes with its code.

    Returns
    -------
    bytes
        The pickle.

    Raises
    ------
    InvalidInput
        The function holds what cannot leave this process, an open file for instance.

    Examples
    --------
    >>> pickle.loads(packed(len))("four"), pickle.loads(packed(lambda: 7))()
    (4, 7)
    """
    if getattr(function, "__module__", "__main__") != "__main__":
        try:
            return pickle.dumps(function)
        except (pickle.PicklingError, AttributeError, TypeError):
            pass  # a function inside another one, or an object that only goes whole
    from pyspark import cloudpickle

    try:
        data: bytes = cloudpickle.dumps(function)
    except Exception as error:  # whatever an object says that refuses to be pickled
        raise InvalidInput(
            f"the function {getattr(function, '__qualname__', function)!r} cannot go to another process ({error}); "
            "make what it uses (files, connections, sessions) inside it"
        ) from error
    return data
