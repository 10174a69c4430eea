"""Opening sockets."""

from __future__ import annotations

import os
import socket
import stat
from pathlib import Path

import pytest

from pierhead.daemon.listeners import (
    ListenError,
    Tls,
    open_all,
    passed_sockets,
    split_address,
    tls_context,
)


@pytest.mark.parametrize(
    ("address", "want"),
    [
        ("127.0.0.1:5", ("127.0.0.1", 5)),
        ("127.0.0.1", ("127.0.0.1", 2375)),
        ("", ("", 2375)),
        (":5", ("", 5)),
        ("[::1]:5", ("::1", 5)),
        ("[::1]", ("::1", 2375)),
        ("localhost:", ("localhost", 2375)),
    ],
)
def test_addresses(address: str, want: tuple[str, int]) -> None:
    assert split_address("tcp://", address, 2375) == want


@pytest.mark.parametrize("address", ["a:b", "a:70000", "[::1", "[::1]x", "a/b"])
def test_bad_addresses(address: str) -> None:
    with pytest.raises(ListenError):
        split_address(f"tcp://{address}", address, 2375)


@pytest.mark.root
def test_unix_socket_and_its_leftovers(tmp_path: Path) -> None:
    path = tmp_path / "run" / "p.sock"
    host = f"unix://{path}"
    (first,) = open_all([host, host], Tls(), "")
    assert stat.S_IMODE(path.stat().st_mode) == 0o660
    with pytest.raises(ListenError, match="another daemon listens there"):
        open_all([host], Tls(), "")
    first.sock.close()  # as after a kill: the file stays
    (second,) = open_all([host], Tls(), "0")
    second.remove()
    assert not path.exists()
    path.write_text("not a socket")
    with pytest.raises(ListenError, match="no socket"):
        open_all([host], Tls(), "")


@pytest.mark.root
def test_all_or_none(tmp_path: Path) -> None:
    path = tmp_path / "p.sock"
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(ListenError, match="Address already in use"):
            open_all([f"unix://{path}", f"tcp://127.0.0.1:{port}"], Tls(), "")
    assert not path.exists()
    with pytest.raises(ListenError, match="group nobody-at-all not found"):
        open_all([f"unix://{path}"], Tls(), "nobody-at-all")


def test_tls_files() -> None:
    assert tls_context(Tls()) is None
    with pytest.raises(ListenError, match=r"TLS: can't load /x/cert\.pem"):
        tls_context(Tls(verify=True, ca="/x/ca.pem", certificate="/x/cert.pem", key="/x/k.pem"))


def test_passed_sockets_must_be_there() -> None:
    with pytest.raises(ListenError, match="no sockets were passed"):
        passed_sockets("", {})
    with pytest.raises(ListenError, match="no sockets were passed"):
        passed_sockets("", {"LISTEN_PID": "1", "LISTEN_FDS": "1"})
    with pytest.raises(ListenError, match="no such socket"):
        passed_sockets("9", {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "1"})
