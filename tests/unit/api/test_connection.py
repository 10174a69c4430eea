"""Where the stream begins in the first packet of a request to be hijacked."""

from __future__ import annotations

import pytest

from pierhead.api.connection import split_hijack

HEAD = b"POST /v1.41/containers/x/attach?stream=1 HTTP/1.1\r\nHost: d\r\n\r\n"
EXEC = b"POST /exec/x/start HTTP/1.1\r\nContent-Length: 2\r\n\r\n"


@pytest.mark.parametrize("more", [b"", b"data"])
def test_the_stream_begins_after_the_head(more: bytes) -> None:
    assert split_hijack(HEAD + more) == len(HEAD)


def test_or_after_the_body() -> None:
    assert split_hijack(EXEC + b"{}early") == len(EXEC) + 2
    assert split_hijack(EXEC) == len(EXEC) + 2


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"GET /containers/x/attach/ws HTTP/1.1\r\n\r\n",
        b"POST /containers/create HTTP/1.1\r\n\r\n",
        b"POST /containers/x/attach HTTP/1.1\r\nHost: d\r\n",
        b"POST /exec/x/start HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"POST /containers/x/wait?y=/attach HTTP/1.1\r\n\r\n",
    ],
)
def test_other_requests_are_left_alone(data: bytes) -> None:
    assert split_hijack(data) is None
