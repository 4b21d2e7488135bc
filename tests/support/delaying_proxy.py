# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""A proxy that adds latency and takes no bandwidth."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Any


async def end_others() -> None:
    """Cancel the other tasks of the running loop."""
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for each in others:
        each.cancel()
    await asyncio.gather(*others, return_exceptions=True)


def through(port: int, seconds: float) -> Callable[..., Any]:
    """Return what serves a connection: it holds each piece back for *seconds*, both ways."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", port)
        both = (_pump(reader, far_writer, seconds), _pump(far_reader, writer, seconds))
        with suppress(asyncio.CancelledError):  # the measurement is over
            await asyncio.gather(*both)

    return serve


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, seconds: float) -> None:
    loop = asyncio.get_running_loop()
    pieces: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()

    async def read() -> None:
        while True:
            try:
                piece = await reader.read(65536)
            except OSError:
                piece = b""
            pieces.put_nowait((loop.time() + seconds, piece))
            if not piece:
                return

    reading = asyncio.create_task(read())
    while True:
        due, piece = await pieces.get()
        await asyncio.sleep(max(0.0, due - loop.time()))
        if not piece:
            writer.close()
            break
        writer.write(piece)
    await reading
