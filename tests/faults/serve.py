"""A service as a process of its own, with deadlines short enough for a test: ``python -m tests.faults.serve JSON``."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

from gpdata.ingest.options import Options
from gpdata.ingest.service import Service, raise_descriptors
from gpdata.ingest.upload import Bounds
from gpdata.spool import plain_tcp
from gpdata.wire import Limits


def main() -> None:
    """Serve with the options of the argument until SIGTERM; print the addresses once it listens."""
    chosen: dict[str, Any] = json.loads(sys.argv[1])
    plain_tcp._KEEPALIVE.update(chosen.pop("keepalive", {}))
    for name in ("lake", "certificate", "key"):
        if name in chosen:
            chosen[name] = Path(chosen[name])
    if "plain" in chosen:
        chosen["plain"] = tuple(chosen["plain"])
    chosen["limits"] = Limits(**chosen.get("limits", {}))
    chosen["bounds"] = Bounds(**chosen.get("bounds", {}))
    raise_descriptors()
    with Service(Options(**chosen)) as service:
        asyncio.run(_run(service))


async def _run(service: Service) -> None:
    service.handle_signals()
    await service.run(
        lambda: print(json.dumps({"url": service.url, "plain": service.plain_addresses}), flush=True),
    )


if __name__ == "__main__":
    main()
