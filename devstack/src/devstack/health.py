"""One HTTP GET for readiness checks, without a client library's start-up time."""

import asyncio
from http import HTTPStatus
from urllib.parse import urlsplit

TIMEOUT_SECONDS = 2.0


async def answers_ok(url: str) -> bool:
    return await get_status(url) == HTTPStatus.OK


async def get_status(url: str) -> int | None:
    """The status code of one GET, or None when nobody answers."""
    parts = urlsplit(url)
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    try:
        async with asyncio.timeout(TIMEOUT_SECONDS):
            reader, writer = await asyncio.open_connection(parts.hostname, parts.port or 80)
            try:
                request = (
                    f"GET {target} HTTP/1.1\r\nHost: {parts.netloc}\r\nConnection: close\r\n\r\n"
                )
                writer.write(request.encode())
                line = await reader.readline()
            finally:
                writer.close()
    except (OSError, TimeoutError):
        return None
    words = line.split()
    return int(words[1]) if len(words) > 1 and words[1].isdigit() else None
