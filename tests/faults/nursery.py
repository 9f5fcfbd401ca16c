"""Commands of gpdata with small files and frequent checkpoints: one as ARGS, or one fork each for the orders on stdin.

python -P tests/faults/nursery.py transform --lake DIR
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import sys
import traceback
from typing import Any
from unittest.mock import patch

CHECKPOINTS = 4
"""Log entries from one checkpoint to the next."""


def main() -> None:
    """Run one command, or serve orders until standard input ends."""
    # Whatever a command needs is loaded here, once. The threads that this starts are those of allocators and of
    # pools that know of forks; none of them is at work.
    import deltalake  # noqa: F401
    import pyarrow.compute
    import pyarrow.parquet  # noqa: F401

    from gpdata.cli import COMMANDS

    for name in ("transform", "import", "compact", "ingest", "forward"):
        __import__(COMMANDS[name].target.partition(":")[0])
    if sys.argv[1:]:
        sys.exit(_command(sys.argv[1:]))
    for order in sys.stdin:
        _serve(json.loads(order))


def _serve(order: dict[str, Any]) -> None:
    child = os.fork()
    if not child:
        status = 70
        try:
            status = _child(order)
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(status)
    _say(pid=child)
    _, status = os.waitpid(child, 0)
    _say(status=os.waitstatus_to_exitcode(status))


def _child(order: dict[str, Any]) -> int:
    log = os.open(order["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    nothing = os.open(os.devnull, os.O_RDONLY)
    for source, target in ((nothing, 0), (log, 1), (log, 2)):
        os.dup2(source, target)
    environment: dict[str, str] = order["environment"]
    os.environ.update(environment)
    if "PLUG_ROOT" in environment:
        attach = ctypes.CDLL(os.environ["PLUG_LAYER"]).plug_attach
        attach(*(environment[name].encode() for name in ("PLUG_CONTROL", "PLUG_JOURNAL", "PLUG_ROOT")))
    return _command(order["args"])


def _command(args: list[str]) -> int:
    from gpdata.cli import main as gpdata

    signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.argv = ["gpdata", *args]
    with patch("gpdata.lake.delta.CHECKPOINT_EVERY", CHECKPOINTS), patch("gpdata.lake.compaction.SEALED", 1):
        try:
            gpdata()
        except SystemExit as end:
            return end.code if isinstance(end.code, int) else int(end.code is not None)
    return 0


def _say(**what: int) -> None:
    print(json.dumps(what), flush=True)


if __name__ == "__main__":
    main()
