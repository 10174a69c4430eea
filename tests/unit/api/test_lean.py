"""aiohttp by its parts, and whole when somebody needs it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

SOURCE = Path(__file__).parents[3] / "src"


def python(code: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": str(SOURCE)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_edge_imports_no_http_client() -> None:
    assert (
        python("import pierhead.api.app, sys; print('aiohttp.client' in sys.modules)") == "False\n"
    )


def test_the_rest_is_there_when_asked_for() -> None:
    code = """
import pierhead.api.app, aiohttp, sys
assert aiohttp.__version__
assert aiohttp.ClientSession.__module__ == 'aiohttp.client'
from aiohttp import web
print(web.Application.__name__)
"""
    assert python(code) == "Application\n"


def test_what_is_imported_already_stays() -> None:
    code = """
import aiohttp
before = aiohttp.ClientSession
import pierhead.api.app
import aiohttp as again
print(again.ClientSession is before)
"""
    assert python(code) == "True\n"
