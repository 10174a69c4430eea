"""What ``--check`` and ``--call`` print: findings, arguments, targets. Pure.

The daemon answers with the JSON of BuildKit's subrequests (``lint``, ``outline``,
``targets``); layouts are buildx's.
"""

from __future__ import annotations

from pierhead.cli.build.failure import excerpt
from pierhead.cli.format.tabwriter import tabwriter

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def lint_text(result: dict[str, Any], file: str = "") -> tuple[str, str]:
    """(report, error) of a check; ``file`` is the Dockerfile as the user named it."""
    warnings = sorted(result.get("warnings") or (), key=_place)
    sources = result.get("sources") or []
    out: list[str] = []
    if warnings:
        many = len(warnings) > 1
        told = f"{len(warnings)} warnings have" if many else "1 warning has"
        out.append(f"Check complete, {told} been found!\n")
    for warning in warnings:
        out.append(f"\nWARNING: {warning.get('ruleName', '')}")
        if warning.get("url"):
            out.append(f" - {warning['url']}")
        out.append(f"\n{warning.get('detail') or warning.get('description', '')}\n")
        shown = _shown(warning.get("location") or {}, sources, file)
        if shown:
            out.append("\n" + shown)
    error = result.get("buildError") or result.get("error")
    if error:
        text = str(error.get("message", "")) + "\n"
        return "".join(out), text + _shown(error.get("location") or {}, sources, file)
    if not warnings:
        out.append("Check complete, no warnings found.\n")
    return "".join(out), ""


def _place(warning: dict[str, Any]) -> tuple[int, int, str]:
    location = warning.get("location") or {}
    ranges = location.get("ranges") or [{}]
    line = (ranges[0].get("start") or {}).get("line") or 0
    return int(location.get("sourceIndex") or 0), int(line), str(warning.get("ruleName", ""))


def _shown(location: dict[str, Any], sources: list[dict[str, Any]], file: str) -> str:
    index = int(location.get("sourceIndex") or 0)
    if not 0 <= index < len(sources):
        return ""
    from binascii import a2b_base64

    source = sources[index]
    data = a2b_base64(str(source.get("data") or "")).decode("utf-8", "replace")
    lines = []
    for one in location.get("ranges") or ():
        first = int((one.get("start") or {}).get("line") or 0)
        lines.append((first, max(int((one.get("end") or {}).get("line") or 0), first)))
    return excerpt(file or str(source.get("filename") or "Dockerfile"), data, lines)


def outline_text(result: dict[str, Any]) -> str:
    """Target, arguments, secrets, ssh agents and caches of a build."""
    out: list[str] = []
    if result.get("name") or result.get("description"):
        rows = [f"TARGET:\t{result.get('name') or '(default)'}\n"]
        if result.get("description"):
            rows.append(f"DESCRIPTION:\t{result['description']}\n")
        out.append(tabwriter("".join(rows), 0, 1) + "\n")
    if arguments := result.get("args"):
        rows = ["BUILD ARG\tVALUE\tDESCRIPTION\n"]
        for one in arguments:
            rows.append(
                f"{one.get('name', '')}\t{one.get('value', '')}\t{one.get('description', '')}\n"
            )
        out.append(tabwriter("".join(rows), 0, 3) + "\n")
    for key, title in (("secrets", "SECRET"), ("ssh", "SSH")):
        if entries := result.get(key):
            rows = [f"{title}\tREQUIRED\n"]
            for one in entries:
                rows.append(f"{one.get('name', '')}\t{'true' if one.get('required') else ''}\n")
            out.append(tabwriter("".join(rows), 0, 3) + "\n")
    return "".join(out)


def targets_text(result: dict[str, Any]) -> str:
    """The stages that can be built."""
    rows = ["TARGET\tDESCRIPTION\n"]
    for one in result.get("targets") or ():
        name = str(one.get("name") or "")
        if one.get("default"):
            name = f"{name} (default)" if name else "(default)"
        rows.append(f"{name}\t{one.get('description', '')}\n")
    return tabwriter("".join(rows), 0, 1)
