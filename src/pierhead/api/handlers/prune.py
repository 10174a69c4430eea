"""The answers of the prune calls: one report, or since API 1.56 a stream when asked for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from aiohttp.web_response import StreamResponse

from pierhead.api.call import Call
from pierhead.api.codec import encode


async def prune_reply(
    call: Call, report: dict[str, Any], deleted: Sequence[str] | None
) -> StreamResponse:
    """``report`` whole, or with ``stream=1`` a line for each id and the report as ``aux``."""
    if call.api < 56 or not call.flag("stream"):
        return call.json(report)
    response = await call.start_stream("application/jsonl")
    for name in deleted or ():
        await response.write(encode({"id": name, "status": "deleted"}))
    await response.write(encode({"aux": report}))
    return response
