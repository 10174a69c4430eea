"""What is set once for the process, in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

SOURCE = Path(__file__).parents[3] / "src"

CODE = """
import gc, os, resource, signal
from pierhead.daemon import process
process.prepare()
soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
assert soft == min(hard, 1 << 20) or hard == resource.RLIM_INFINITY
assert signal.getsignal(signal.SIGPIPE) is signal.SIG_IGN
assert not gc.isenabled()
process.settle()
assert gc.isenabled() and gc.get_freeze_count() > 1000
"""


def test_prepare_and_settle() -> None:
    env = {**os.environ, "PYTHONPATH": str(SOURCE)}
    subprocess.run([sys.executable, "-c", CODE], env=env, check=True, timeout=60)
