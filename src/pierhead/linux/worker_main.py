"""The other side of ``linux/worker.py``: run as a script, ``python -IS worker_main.py REQ RES``.

Reads the request from the memfd REQ, confines itself, runs the function, writes the
result to the memfd RES. Exit status 0 with a result, 1 with an error. A child of
``worker_template`` calls ``run`` instead.
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any


def _confine(jail: str) -> None:
    from pierhead.linux import syscalls as sc

    sc.unshare(sc.CLONE_NEWNS)
    sc.mount(None, "/", None, sc.MS_REC | sc.MS_PRIVATE)
    os.chdir(jail)
    os.chroot(".")
    os.chdir("/")
    sc.prctl(sc.PR_SET_NO_NEW_PRIVS, 1)
    sc.keep_capabilities(sc.UNPACK_CAPABILITIES)


def die_with_parent() -> None:
    """SIGKILL when the thread ends that started us, or its whole process."""
    from pierhead.linux import syscalls as sc

    sc.prctl(sc.PR_SET_PDEATHSIG, 9)


def _work(request: dict[str, Any]) -> Any:
    sys.path[:0] = [path for path in request["path"] if path not in sys.path]
    die_with_parent()
    if os.getppid() != request["parent"]:
        os._exit(1)
    import importlib

    module, _, name = request["function"].partition(":")
    function = getattr(importlib.import_module(f"pierhead.{module}"), name)
    if request["memory_limit_bytes"]:
        import resource

        limit = request["memory_limit_bytes"]
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    if request["jail"] is not None:
        import traceback  # noqa: F401  nothing can be imported once we are inside

        _confine(request["jail"])
    return function(**request["args"])


def main() -> int:
    # the script's own directory shadows nothing it should
    del sys.path[0]
    return run(int(sys.argv[1]), int(sys.argv[2]))


def run(request_fd: int, result_fd: int) -> int:
    """Do what the request says; the exit status. Closes both descriptors."""
    with os.fdopen(request_fd, "rb") as file:
        request = json.load(file)
    reply: dict[str, Any]
    try:
        reply = {"result": _work(request)}
        raw = json.dumps(reply)
    except BaseException as error:
        raw = json.dumps(_describe(error))
    with os.fdopen(result_fd, "w", encoding="utf-8") as out:
        out.write(raw)
    return 0 if raw.startswith('{"result"') else 1


def _describe(error: BaseException) -> dict[str, Any]:
    kind = getattr(error, "kind", None)
    if isinstance(kind, str):
        return {"kind": kind, "message": str(error)}
    if isinstance(error, OSError) and error.errno:
        filename = error.filename
        if isinstance(filename, bytes):
            filename = os.fsdecode(filename)
        return {
            "kind": "os",
            "errno": error.errno,
            "message": error.strerror or "",
            "filename": filename if isinstance(filename, str) else None,
        }
    import traceback

    text = "".join(traceback.format_exception(error))
    return {"kind": "internal", "message": f"{type(error).__name__}: {error}", "trace": text}


if __name__ == "__main__":
    sys.exit(main())
