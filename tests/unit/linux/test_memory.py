"""The heap's settings are taken."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from pierhead.linux import memory

SOURCE = Path(__file__).parents[3] / "src"


def test_calls_do_no_harm() -> None:
    memory.limit_arenas(2)
    memory.trim()


def test_code_is_released_and_comes_back() -> None:
    code = """
import hashlib, json, re, sqlite3
from pierhead.linux import memory
def mapped():
    with open('/proc/self/status') as file:
        return int(next(line.split()[1] for line in file if line.startswith('RssFile')))
before = mapped()
memory.release_code()
after = mapped()
assert hashlib.sha256(b'x').hexdigest()[:4] == '2d71'
assert sqlite3.connect(':memory:').execute('select 1').fetchone() == (1,)
print(after < before)
"""
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": str(SOURCE)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.stdout, done.returncode) == ("True\n", 0), done.stderr
