"""The check of a lake: whether it can be reached, and rows of it read."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from gpdata.errors import GpdataError, NotALake
from gpdata.sessions.checks import Finding, Situation
from gpdata.sessions.cluster import addresses

_CHECK = "lake"

# What the libraries below say of an object store, in the order in which it is looked for.
_CREDENTIALS = (
    r"InvalidAccessKeyId|SignatureDoesNotMatch|AccessDenied|ACCESS_DENIED|Forbidden|\b40[13]\b|ExpiredToken|"
    r"InvalidToken|TokenRefreshRequired|INVALID_ACCESS_KEY|SIGNATURE_DOES_NOT_MATCH|Unauthorized|Unauthenticated|"
    r"PermissionDenied|INVALID_SIGNATURE|UNRECOGNIZED_CLIENT"
)
_NONE_FOUND = r"no credentials|Missing.*credential|credentials? (?:provider|could not|not found)|169\.254\.169\.254"
_SILENT = (
    r"[Cc]onnection refused|[Cc]ould ?n.t connect|NETWORK_CONNECTION|timed? ?out|[Tt]imeout|dns error|"
    r"resolve host|[Cc]onnection reset|error sending request|No route to host"
)
_SET = "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
_SAID = (
    (
        r"NoSuchBucket|bucket does not exist|NO_SUCH_BUCKET",
        "there is no such bucket",
        "correct the name, or make the bucket",
    ),
    (
        _CREDENTIALS,
        "the store refuses the credentials, or they do not reach this bucket",
        f"{_SET} (and AWS_SESSION_TOKEN) anew, or see which role this machine has",
    ),
    (_NONE_FOUND, "no credentials for the store were found", f"{_SET}, or give this machine a role"),
    (
        _SILENT,
        "the store does not answer",
        "correct its address (AWS_ENDPOINT_URL), and see that the network lets you through",
    ),
)


def lake(situation: Situation) -> Iterator[Finding]:
    """Whether the lake can be opened and rows of it read."""
    from gpdata.convert import to_arrow
    from gpdata.lab import open as open_lab

    where = situation.lake
    through = where.startswith("hdfs:/")
    if through and situation.session is None:
        yield Finding(
            _CHECK,
            "warning",
            f"{where} lies in HDFS, which only a session reads, and none lives here: it was not looked at",
            f"gpdata.open('{where}', engine=gpdata.spark()) says what is wrong, if anything is",
        )
        return
    try:
        lab = open_lab(where, engine=situation.session if through else "duckdb")
        for frame in (lab.generations, lab.individuals):
            to_arrow(frame.limit(1))
    except NotALake as error:
        if not situation.must_lake:
            yield Finding(_CHECK, "ok", f"none at {where!r}, and none was named")
            return
        yield Finding(_CHECK, "failed", *_parts(str(error)))
        return
    except (GpdataError, OSError) as error:
        # What is said of HDFS names the mend; the words for a store do not fit.
        yield Finding(_CHECK, "failed", *_parts(str(error))) if through else _unread(where, error)
        return
    except Exception as error:  # of the engine or the store's library, whichever these are
        yield _unread(where, error)
        return
    rows = f"{lab.run_count} {'run' if lab.run_count == 1 else 'runs'}, version {lab.version}"
    settings = situation.effective
    local = "://" not in str(where)
    if local and settings.get("spark.master", "").startswith(("spark://", "k8s://")) and not _loopback(settings):
        yield Finding(
            _CHECK,
            "warning",
            f"{lab.path} can be read here ({rows}), and it is a directory of this machine",
            "every executor must see it under the same path (a shared volume); else keep the lake in an object store",
        )
        return
    yield Finding(_CHECK, "ok", f"{lab.path} can be read: {rows}")


def why(error: BaseException) -> tuple[str, str] | None:
    """Tell from an error of a storage library what is wrong with an object store, and what to do.

    Parameters
    ----------
    error : BaseException
        What was raised; its causes are looked at, too.

    Returns
    -------
    tuple of str and str, or None
        The cause and the mend; None where it says nothing of a store.

    Examples
    --------
    >>> why(OSError("AWS Error ACCESS_DENIED during HeadObject"))[0]
    'the store refuses the credentials, or they do not reach this bucket'
    >>> why(ValueError("nothing of the kind")) is None
    True
    """
    texts: list[str] = []
    seen: BaseException | None = error
    while seen is not None and len(texts) < 8:
        texts.append(f"{type(seen).__name__}: {seen}")
        seen = seen.__cause__ or seen.__context__
    text = " ".join(texts)
    return next(((cause, mend) for pattern, cause, mend in _SAID if re.search(pattern, text)), None)


def _unread(where: str, error: Exception) -> Finding:
    said = str(error).strip().splitlines()[0][:300] if str(error).strip() else type(error).__name__
    if "://" in where and (found := why(error)):
        return Finding(_CHECK, "failed", f"{where} cannot be read: {found[0]} ({said})", found[1])
    if isinstance(error, GpdataError):
        return Finding(_CHECK, "failed", *_parts(str(error)))
    if isinstance(error, PermissionError) or "ermission denied" in said:
        return Finding(
            _CHECK, "failed", f"you may not read {where}: {said}", "have its owner let you read it (files and folders)"
        )
    return Finding(_CHECK, "failed", f"{where} cannot be read: {said}", f"gpdata verify {where} looks at every file")


def _parts(message: str) -> tuple[str, str]:
    """Part a message of ours into what is so and what to do."""
    cause, _, mend = message.partition("; ")
    return cause, mend or "name another lake: --lake, or GPDATA_LAKE"


def _loopback(settings: Mapping[str, str]) -> bool:
    master = settings.get("spark.master", "")
    if not master.startswith("spark://"):
        return False
    return all(host in ("localhost", "127.0.0.1", "::1") for host, _ in addresses(master))
