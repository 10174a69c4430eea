from __future__ import annotations

import pytest

from pierhead.cli import table
from pierhead.cli.help import flag_lines, group_help, help_text, usage_line, wrap


def test_usage_lines() -> None:
    assert usage_line("") == "pier [OPTIONS] COMMAND [ARG...]"
    assert usage_line("container") == "pier container COMMAND"
    assert usage_line("container run") == "pier container run [OPTIONS] IMAGE [COMMAND] [ARG...]"
    assert usage_line("cp").count("\n\tpier cp ") == 1


def test_flags_are_laid_out_like_pflag() -> None:
    flags = (
        ("zeta", "", "stringSlice", None, "Last"),
        ("memory", "m", "bytes", 0, "Limit"),
        ("tail", "n", "string", "all", "Lines"),
        ("proxy", "", "bool", True, "Signals"),
        ("last", "", "int", -1, "Number"),
        ("hidden", "", "bool", False, ""),
    )
    assert flag_lines(flags) == (
        "      --last int       Number (default -1)\n"
        "  -m, --memory bytes   Limit\n"
        "      --proxy          Signals (default true)\n"
        '  -n, --tail string    Lines (default "all")\n'
        "      --zeta strings   Last\n"
    )


def test_wrapping() -> None:
    assert wrap("one two three four five six seven", 10, 36) == (
        "one two three four five\n          six seven"
    )


def test_a_group_lists_each_command_once() -> None:
    text = group_help("container")
    names = [line.split()[0] for line in text.splitlines() if line.startswith("  ")]
    assert names == sorted(set(names))
    assert {"ls", "run", "prune", "inspect"} <= set(names)
    assert not {"ps", "list", "remove"} & set(names)


@pytest.mark.parametrize("path", ["", *table.GROUPS, *table.COMMANDS, *table.ALIASES])
def test_every_path_has_help(path: str) -> None:
    text = help_text(path)
    assert text.startswith("Usage:  pier")
    assert text.endswith("\n")


def test_aliases_are_named() -> None:
    assert "Aliases:\n  pier container rm, pier container remove, pier rm\n" in help_text("rm")
