from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
from pathlib import Path

MAIN = Path(__file__).parents[4] / "src" / "pierhead" / "cli" / "__main__.py"


def test_both_ways(tmp_path: Path) -> None:
    path = str(tmp_path / "s")
    server = socket.socket(socket.AF_UNIX)
    server.bind(path)
    server.listen()

    def echo() -> None:
        connection, _ = server.accept()
        data = b""
        while part := connection.recv(100):
            data += part
        connection.sendall(data.upper())
        connection.close()

    thread = threading.Thread(target=echo)
    thread.start()
    done = subprocess.run(
        [sys.executable, "-IS", str(MAIN), "-H", f"unix://{path}", "system", "dial-stdio"],
        input=b"hello",
        capture_output=True,
        timeout=20,
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
    )
    thread.join()
    server.close()
    assert done.stdout == b"HELLO"
