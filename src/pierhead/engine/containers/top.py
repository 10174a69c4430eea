"""Top: the host's ``ps``, reduced to the container's processes."""

from __future__ import annotations

import re
from typing import Any

from pierhead.engine.containers.container import Container
from pierhead.engine.containers.context import Context
from pierhead.engine.containers.events import emit
from pierhead.engine.containers.model import Phase
from pierhead.errors import Conflict, InvalidParameter, Unavailable
from pierhead.linux import cgroups, process

# Another column must not pass itself off as PID.
_RENAMED = re.compile(r"\s+([^\s]*)=\s*(PID[^\s]*)")
_TIMEOUT_S = 10.0


async def top(ctx: Context, container: Container, ps_args: str) -> dict[str, Any]:
    """``{"Titles": [...], "Processes": [[...]]}``."""
    ps_args = ps_args or "-ef"
    check_args(ps_args)
    if not container.active:
        raise Conflict(f"container {container.id} is not running")
    if container.status.phase is Phase.RESTARTING:
        raise Conflict(
            f"container {container.id} is restarting, wait until the container is running"
        )
    pids = cgroups.pids(ctx.layout, ctx.cgroup_of(container.record))
    words = ps_args.split()
    if words and not words[0].startswith("-") and "=" not in words[0] and words[0].isdigit():
        raise InvalidParameter(f"ps: pids can't be given: {words[0]}")
    try:
        chosen = ["-q", ",".join(map(str, pids))]
        done = await process.run(["ps", *words, *chosen], timeout_s=_TIMEOUT_S)
        if done.returncode != 0:
            # some options can't be combined with a choice of pids
            done = await process.run(["ps", *words], timeout_s=_TIMEOUT_S)
    except FileNotFoundError as error:
        raise Unavailable("top needs ps on this host: apt-get install procps") from error
    if done.returncode != 0:
        line = done.stderr.decode(errors="replace").strip().split("\n")[0]
        raise InvalidParameter(f"ps: {line or f'exit status {done.returncode}'}")
    found = parse_ps(done.stdout.decode(errors="replace"), set(pids))
    emit(ctx, container, "top")
    return found


def check_args(ps_args: str) -> None:
    """Refuse to show another column under the name of PID."""
    for match in _RENAMED.finditer(ps_args):
        if match[1] != "pid":
            raise InvalidParameter(f'specifying "{match[1]}={match[2]}" is not allowed')


def parse_ps(output: str, pids: set[int]) -> dict[str, Any]:
    """Keep the lines of ``pids`` and of their threads (``-`` for a pid). Pure."""
    lines = output.split("\n")
    titles = lines[0].split()
    if "PID" not in titles:
        raise InvalidParameter("Couldn't find PID field in ps output")
    at = titles.index("PID")
    processes: list[list[str]] = []
    inside = False
    for line in lines[1:]:
        fields = line.split()
        if len(fields) <= at:
            continue
        if fields[at] == "-":
            if not inside:
                continue
        else:
            if not fields[at].isdigit():
                raise InvalidParameter(f"Unexpected pid '{fields[at]}' in ps output")
            inside = int(fields[at]) in pids
            if not inside:
                continue
        last = len(titles) - 1
        processes.append([*fields[:last], " ".join(fields[last:])])
    return {"Titles": titles, "Processes": processes}
