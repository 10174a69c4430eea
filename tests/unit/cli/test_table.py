"""Every command and flag of the docker CLI's reference is known, with the right type."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from pierhead.cli import table
from pierhead.cli.main import GLOBAL_FLAGS, load

# Where we differ from the reference on purpose: (command, flag) -> why.
DIFFERENT: dict[tuple[str, str], str] = {
    ("build", "cache-from"): "as buildx: type=local,src=path has commas of its own",
    ("build", "platform"): "as buildx: several platforms",
}


@pytest.fixture(scope="module")
def reference(shared: Path) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((shared / "reference" / "docker-cli.json").read_text())
    return loaded


def not_yet(path: str) -> bool:
    return path in table.NOT_YET or path.partition(" ")[0] in table.NOT_YET


def test_every_row_has_its_command() -> None:
    for path in table.COMMANDS:
        command = load(path)
        names = [flag[0] for flag in command.flags]
        assert len(names) == len(set(names)), path
        shorts = [flag[1] for flag in command.flags if flag[1]]
        assert len(shorts) == len(set(shorts)), path


def test_aliases_lead_to_rows() -> None:
    assert set(table.ALIASES.values()) <= set(table.COMMANDS)
    assert not set(table.ALIASES) & (set(table.COMMANDS) | set(table.NOT_YET))
    assert not set(table.COMMANDS) & set(table.NOT_YET)


def test_groups_are_the_first_words() -> None:
    above = {path.rpartition(" ")[0] for path in (*table.COMMANDS, *table.ALIASES) if " " in path}
    assert above - set(table.COMMANDS) == set(table.GROUPS)


def test_every_command_is_known(reference: dict[str, Any]) -> None:
    unknown = [
        path
        for path in reference
        if path != "docker"
        and path not in table.COMMANDS
        and path not in table.ALIASES
        and path not in table.GROUPS
        and not not_yet(path)
    ]
    assert not unknown


def test_every_flag_is_known_with_its_type(reference: dict[str, Any]) -> None:
    wrong: list[str] = []
    for path, entry in reference.items():
        row = table.ALIASES.get(path, path)
        if row not in table.COMMANDS:
            continue
        flags = {flag[0]: flag for flag in load(row).flags}
        for *names, kind, default in entry["options"]:
            name = names[-1].removeprefix("--")
            short = names[0].removeprefix("-") if len(names) > 1 else ""
            flag = flags.get(name)
            if (row, name) in DIFFERENT or (name == "help" and flag is None):
                continue
            if flag is None:
                wrong.append(f"{path}: no --{name}")
                continue
            if flag[2] != kind:
                wrong.append(f"{path} --{name}: {flag[2]}, not {kind}")
            if flag[1] != short:
                wrong.append(f"{path} --{name}: -{flag[1]}, not -{short}")
            if not _same_default(flag[3], default, kind):
                wrong.append(f"{path} --{name}: default {flag[3]!r}, not {default!r}")
    assert not wrong, "\n".join(wrong)


def _same_default(ours: Any, theirs: str, kind: str) -> bool:
    if theirs in ("", "<nil>", "map[]", "0", "0s"):
        return not ours
    if kind == "bool":
        return bool(ours) == (theirs == "true")
    return str(ours) == theirs


def test_global_flags(reference: dict[str, Any]) -> None:
    ours = {flag[0]: (flag[1], flag[2]) for flag in GLOBAL_FLAGS}
    for *names, kind, _ in reference["docker"]["options"]:
        name = names[-1].removeprefix("--")
        short = names[0].removeprefix("-") if len(names) > 1 else ""
        # -H may be repeated to be refused: a list to us.
        expected = "list" if name == "host" else kind
        assert ours[name] == (short, expected), name


def test_aliases_are_the_references(reference: dict[str, Any]) -> None:
    for path, entry in reference.items():
        if path not in table.COMMANDS:
            continue
        for alias in entry["aliases"]:
            spelled = alias.removeprefix("docker ")
            assert spelled == path or table.ALIASES.get(spelled) == path, spelled


@pytest.mark.parametrize("path", sorted(table.COMMANDS))
def test_descriptions_are_short(path: str) -> None:
    assert len(table.COMMANDS[path][1]) < 62
