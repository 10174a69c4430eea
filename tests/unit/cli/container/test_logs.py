from __future__ import annotations

from pathlib import Path

import pytest

from support.wire_daemon import WireDaemon, chunked, failure, frame, respond

FRAMES = frame(1, b"out\n") + frame(2, b"err\n")
MULTIPLEXED = "Content-Type: application/vnd.docker.multiplexed-stream\r\n"
RAW = "Content-Type: application/vnd.docker.raw-stream\r\n"


def test_streams_are_taken_apart(tmp_path: Path) -> None:
    daemon = WireDaemon(
        tmp_path, {"GET /containers/c/logs": chunked(FRAMES[:5], FRAMES[5:], headers=MULTIPLEXED)}
    )
    done = daemon.pier("logs", "-ft", "--details", "-n", "5", "--since", "0", "c")
    assert (done.stdout, done.stderr) == (b"out\n", b"err\n")
    assert daemon.requests[0].query == (
        "stdout=1&stderr=1&since=0&timestamps=1&details=1&follow=1&tail=5"
    )
    daemon.close()


def test_a_terminals_log_is_as_it_is(tmp_path: Path) -> None:
    daemon = WireDaemon(tmp_path, {"GET /containers/c/logs": chunked(b"a\r\n", headers=RAW)})
    assert daemon.pier("logs", "c").stdout == b"a\r\n"
    assert len(daemon.requests) == 1
    daemon.close()


@pytest.mark.parametrize(("tty", "out"), [(True, FRAMES), (False, b"out\n")])
def test_old_daemons_do_not_tell_the_kind(tmp_path: Path, tty: bool, out: bytes) -> None:
    daemon = WireDaemon(
        tmp_path,
        {
            "GET /containers/c/logs": chunked(FRAMES),
            "GET /containers/c/json": respond({"Config": {"Tty": tty}}),
        },
    )
    assert daemon.pier("logs", "c").stdout == out
    daemon.close()


def test_failures(tmp_path: Path) -> None:
    daemon = WireDaemon(tmp_path, {"GET /containers/c/logs": failure("404 Not Found", "gone")})
    assert daemon.pier("logs", "c").stderr == b"Error response from daemon: gone\n"
    done = daemon.pier("logs", "--since", "x", "c")
    assert done.stderr == (
        b'invalid value for "since": failed to parse value as time or duration: "x"\n'
    )
    daemon.close()
