"""The bare peer of `gpdata ingest`: an ASGI application that only writes and syncs the bodies it is sent."""

from __future__ import annotations

import asyncio
import os
import sys
import uuid
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import uvicorn

FOLDER = Path(sys.argv[1]) if len(sys.argv) > 1 else Path()


async def app(
    scope: dict[str, Any], receive: Callable[[], Awaitable[Any]], send: Callable[[Any], Awaitable[None]]
) -> None:
    """Write the body to a file of its own, sync it in a thread, answer."""
    if scope["type"] != "http":
        return
    with (FOLDER / uuid.uuid4().hex).open("wb") as file:
        more = True
        while more:
            message = await receive()
            file.write(message.get("body", b""))
            more = message.get("more_body", False)
        file.flush()
        await asyncio.to_thread(os.fdatasync, file.fileno())
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"{}"})


if __name__ == "__main__":
    certificate, key = (sys.argv[3], sys.argv[4]) if len(sys.argv) > 4 else (None, None)
    uvicorn.run(
        app, port=int(sys.argv[2]), log_level="error", http="httptools", ssl_certfile=certificate, ssl_keyfile=key
    )
