"""``--call``: what a Dockerfile offers, without building it.

Shapes are those of BuildKit's subrequests ``frontend.lint``, ``frontend.outline`` and
``frontend.targets``: their ``result.json``.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

from pierhead.build.dockerfile import mounts
from pierhead.build.dockerfile.errors import BuildError
from pierhead.build.dockerfile.model import Copy, Dockerfile, Instruction, Range, Run, Stage
from pierhead.build.execute.model import MountKind
from pierhead.build.model import Warned
from pierhead.build.plan import args
from pierhead.build.solve.reading import BaseEnv, Reading
from pierhead.errors import InvalidParameter


async def describe(reading: Reading, call: str, base_env: BaseEnv | None = None) -> dict[str, Any]:
    """See the module's docstring. ``InvalidParameter`` for other calls."""
    call = call.removeprefix("frontend.")
    if call in ("check", "lint"):
        return await _lint(reading, base_env)
    if call not in ("outline", "targets"):
        raise InvalidParameter(f"unsupported call {call}: use check, outline or targets")
    dockerfile = await reading.read()
    return outline(reading, dockerfile) if call == "outline" else targets(reading, dockerfile)


async def _lint(reading: Reading, base_env: BaseEnv | None) -> dict[str, Any]:
    result: dict[str, Any] = {"warnings": [], "sources": []}
    found: list[Warned] = []
    try:
        await reading.read()
        try:
            found = await reading.check(base_env)
        except BuildError:
            found = list(reading.report.warnings)  # the caller sees them as findings
    except BuildError as error:
        result["buildError"] = {
            "message": error.message,
            "location": _location(error.location),
        }
    result["warnings"] = [
        {
            "ruleName": warning.rule,
            "description": warning.description,
            "url": warning.url,
            "detail": warning.text,
            "location": {
                "sourceIndex": 0,
                "ranges": [_range(first, last) for first, last in warning.lines],
            },
        }
        for warning in found
    ]
    if hasattr(reading, "definition"):
        result["sources"] = [_source(reading)]
    return {key: value for key, value in result.items() if value or key != "buildError"}


def _source(reading: Reading) -> dict[str, Any]:
    return {
        "filename": reading.definition.name,
        "language": "Dockerfile",
        "data": base64.b64encode(reading.definition.data).decode(),
    }


def _range(first: int, last: int) -> dict[str, Any]:
    return {"start": {"line": first}, "end": {"line": last}}


def _location(place: Range | None) -> dict[str, Any]:
    if place is None:
        return {}
    return {"ranges": [_range(place.first, place.last)]}


def targets(reading: Reading, dockerfile: Dockerfile) -> dict[str, Any]:
    """All stages, the default one marked."""
    last = len(dockerfile.stages) - 1
    found = []
    for number, stage in enumerate(dockerfile.stages):
        target: dict[str, Any] = {"base": stage.base, "location": _location(stage.location)}
        if stage.name:
            target["name"] = stage.name
        if stage.description:
            target["description"] = stage.description
        if stage.platform:
            target["platform"] = stage.platform
        if number == last:
            target["default"] = True
        found.append(target)
    data = base64.b64encode(reading.definition.data).decode()
    return {"targets": found, "sources": [data]}


def outline(reading: Reading, dockerfile: Dockerfile) -> dict[str, Any]:
    """The target's name and description, and what it takes: arguments, secrets, ssh."""
    target = _target(reading, dockerfile)
    needed = _needed(dockerfile, target)
    stage = dockerfile.stages[target]
    result: dict[str, Any] = {}
    if stage.name:
        result["name"] = stage.name
    if stage.description:
        result["description"] = stage.description
    found: dict[str, dict[str, Any]] = {}
    secrets: dict[str, dict[str, Any]] = {}
    agents: dict[str, dict[str, Any]] = {}
    global_args = args.global_args(dockerfile, {}, reading.options.build_args)
    for arg in dockerfile.args:
        for pair in arg.pairs:
            _add_arg(found, pair.key, global_args.get(pair.key), pair.description, arg)
    for number in sorted(needed):
        for item in dockerfile.stages[number].instructions:
            _collect(item, reading.options.build_args, global_args, found, secrets, agents)
    for key, values in (("args", found), ("secrets", secrets), ("ssh", agents)):
        if values:
            result[key] = list(values.values())
    result["sources"] = [base64.b64encode(reading.definition.data).decode()]
    return result


def _collect(
    item: Instruction,
    given: Mapping[str, str],
    global_args: Mapping[str, str],
    found: dict[str, dict[str, Any]],
    secrets: dict[str, dict[str, Any]],
    agents: dict[str, dict[str, Any]],
) -> None:
    from pierhead.build.dockerfile.model import Arg

    if isinstance(item, Arg):
        for pair in item.pairs:
            value = given.get(pair.key, pair.value)
            if value is None and pair.key in global_args:
                continue  # inherited: the global one says it all
            _add_arg(found, pair.key, value, pair.description, item)
    elif isinstance(item, Run):
        for flag in item.mounts:
            spec = mounts.parse(flag, {})
            into = {MountKind.SECRET: secrets, MountKind.SSH: agents}.get(spec.kind)
            if into is not None:
                entry = into.setdefault(
                    spec.id, {"name": spec.id, "location": _location(item.location)}
                )
                if spec.required:
                    entry["required"] = True


def _add_arg(
    found: dict[str, dict[str, Any]],
    key: str,
    value: str | None,
    description: str,
    item: Instruction,
) -> None:
    entry: dict[str, Any] = {"name": key}
    if description:
        entry["description"] = description
    if value:
        entry["value"] = value
    entry["location"] = _location(item.location)
    found[key] = entry


def _target(reading: Reading, dockerfile: Dockerfile) -> int:
    name = reading.options.target
    if not name:
        return len(dockerfile.stages) - 1
    index = dockerfile.stage_index(name)
    if index is None:
        raise InvalidParameter(f'target stage "{name}" could not be found')
    return index


def _needed(dockerfile: Dockerfile, target: int) -> set[int]:
    seen: set[int] = set()
    wave = [target]
    while wave:
        index = wave.pop()
        if index in seen:
            continue
        seen.add(index)
        wave += [each for each in _refers(dockerfile, dockerfile.stages[index], index)]
    return seen


def _refers(dockerfile: Dockerfile, stage: Stage, index: int) -> list[int]:
    names = [stage.base]
    for item in stage.instructions:
        if isinstance(item, Copy) and item.source:
            names.append(item.source)
        elif isinstance(item, Run):
            names += [mounts.parse(flag).origin for flag in item.mounts]
    found = [dockerfile.stage_index(name, index) for name in names if name]
    return [each for each in found if each is not None]
