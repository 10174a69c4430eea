"""``pierd``: read the configuration, say what is wrong with it, run.

Exit codes: 0 after a clean stop, 1 for a configuration or a machine that won't do, and
whatever Python gives for a bug.
"""

from __future__ import annotations

import os
import sys
from typing import NoReturn

from pierhead import __version__
from pierhead.daemon.configuration import ConfigurationError, load, usage


def main() -> NoReturn:
    """The console script. Only this exits."""
    sys.exit(run(sys.argv[1:]))


def run(argv: list[str]) -> int:
    """Run pierd with the arguments ``argv``; the process's exit code."""
    if any(word in ("-h", "--help") for word in argv):
        sys.stdout.write(usage())
        return 0
    if any(word in ("-v", "--version") for word in argv):
        sys.stdout.write(f"Pierhead version {__version__}, Python {sys.version.split()[0]}\n")
        return 0
    try:
        configuration = load(argv)
    except ConfigurationError as error:
        for fault in error.faults:
            sys.stderr.write(f"pierd: {fault}\n")
        sys.stderr.write("See 'pierd --help'.\n")
        return 1
    if configuration.values.get("validate"):
        sys.stdout.write("configuration OK\n")
        return 0
    # What follows is heavy to import; the answers above need none of it.
    from pierhead.daemon.process import prepare

    prepare()
    from pierhead.daemon.app import serve

    os.chdir("/")
    return serve(configuration)
