"""A build that failed, told as buildx does: the Dockerfile's lines, then the error. Pure."""

from __future__ import annotations

from pierhead.cli.build.progress.trace import warning_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    Lines = Sequence[Sequence[int]]

_RULE = "--------------------\n"


def excerpt(file: str, source: str, lines: Lines) -> str:
    """The lines around ``lines`` (first and last, from 1), those marked with ``>>>``.

    Empty if they aren't in the source.
    """
    if not lines or not source:
        return ""
    text = source.split("\n")
    first = min(pair[0] for pair in lines)
    last = min(max(max(pair) for pair in lines), len(text))
    if not 1 <= first <= len(text):
        return ""
    start, end = first, last
    wanted = 4 if start == end else 2
    added = 0
    while added < wanted:
        if start > 1:
            start -= 1
            added += 1
        if end != len(text):
            end += 1
            added += 1
        added += 1
    out = [f"{file}:{first}\n{_RULE}"]
    for number in range(start, end + 1):
        marked = any(pair[0] <= number <= max(pair) for pair in lines)
        line = text[number - 1].rstrip("\r")
        out.append(f" {number:3d} | {'>>>' if marked else '   '} {line}\n")
    out.append(_RULE)
    return "".join(out)


def failure_text(fields: dict[str, Any], *, file: str = "", target: str = "") -> str:
    """The end of a failed build, for stderr.

    ``file``: the Dockerfile as the user named it; ``target``: of a bake file.
    """
    name = str(fields.get("file") or "Dockerfile")
    out = excerpt(file or name, str(fields.get("source") or ""), fields.get("lines") or ())
    message = str(fields.get("message", ""))
    if fields.get("kind") == "canceled":
        message = "Canceled: context canceled"
    head = f"target {target}" if target else "failed to build"
    return f"{out}ERROR: {head}: failed to solve: {message}\n"


def debug_hint(fields: dict[str, Any], program: str = "pier") -> str:
    """How to look at the step that failed, if it was kept."""
    identifier = fields.get("debug_id")
    if not identifier:
        return ""
    return f"\nThe failed step is kept: {program} build debug {identifier}\n"


def warnings_text(warnings: Sequence[dict[str, Any]], *, debug: bool, color: bool) -> str:
    """The findings at the end of a build, in detail with ``--debug``."""
    if not warnings:
        return ""
    count = "1 warning found" if len(warnings) == 1 else f"{len(warnings)} warnings found"
    head = count + ("" if debug else " (use pier --debug to expand)") + ":\n"
    out = ["\n ", f"\x1b[33m{head}\x1b[0m" if color else head]
    for warning in warnings:
        out.append(f" - {warning_text(warning)}\n")
        if not debug:
            continue
        if warning.get("description"):
            out.append(f"{warning['description']}\n")
        if warning.get("url"):
            out.append(f"More info: {warning['url']}\n")
        out.append(
            excerpt(
                str(warning.get("file") or "Dockerfile"),
                str(warning.get("source") or ""),
                warning.get("lines") or (),
            )
        )
        out.append("\n")
    return "".join(out)
