"""Help output: usage lines, the flags of a command, the commands of a group."""

from __future__ import annotations

from pierhead.cli import table
from pierhead.cli.flags import Command
from pierhead.cli.main import GLOBAL_FLAGS, PROGRAM, load, resolve, write_all

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

#: The first commands that the top-level help names.
COMMON = ("run", "exec", "ps", "build", "images", "load", "login", "logout", "version", "info")

_TYPE_NAMES = {
    "int64": "int",
    "int32": "int",
    "uint64": "uint",
    "float64": "float",
    "stringSlice": "strings",
    "ipSlice": "ips",
    "ipNetSlice": "ipNets",
    "ip": "ip",
    "bool": "",
}


def usage_line(path: str) -> str:
    """What follows ``Usage:  ``; a command with two forms gives two lines."""
    if not path:
        return f"{PROGRAM} [OPTIONS] COMMAND [ARG...]"
    row = table.ALIASES.get(path, path)
    if row not in table.COMMANDS:
        return f"{PROGRAM} {path} COMMAND"
    forms = load(row).usage.split("\n")
    return "\n\t".join(f"{PROGRAM} {path} {form}".rstrip() for form in forms)


def terminal_width() -> int:
    """Columns of the terminal at stdout, 80 if it is none."""
    import posix

    try:
        return posix.get_terminal_size(1).columns or 80
    except OSError:
        return 80


def wrap(text: str, first: int, width: int) -> str:
    """Break ``text`` so that it fits ``width`` columns after an indent of ``first``."""
    room = max(width - first, 24)
    lines: list[str] = []
    for paragraph in text.split("\n"):
        line = ""
        for word in paragraph.split(" "):
            if line and len(line) + 1 + len(word) > room:
                lines.append(line)
                line = word
            else:
                line = f"{line} {word}" if line else word
        lines.append(line)
    return ("\n" + " " * first).join(lines)


def flag_lines(flags: Sequence[tuple[Any, ...]]) -> str:
    """The table of flags as pflag lays it out."""
    rows: list[tuple[str, str]] = []
    for flag in sorted(flags, key=lambda item: str(item[0])):
        name, short, kind, default, usage = flag[:5]
        if not usage:
            continue
        left = f"  -{short}, --{name}" if short else f"      --{name}"
        shown = _TYPE_NAMES.get(kind, kind)
        if shown:
            left += f" {shown}"
        rows.append((left, usage + _default(kind, default)))
    column = max((len(left) for left, _ in rows), default=0) + 3
    width = terminal_width() - 1
    return "".join(f"{left:<{column}}{wrap(text, column, width)}\n" for left, text in rows)


def _default(kind: str, default: Any) -> str:
    if default is None or default is False or default == "" or default == 0 or default == []:
        return ""
    if kind in ("string",):
        return f' (default "{default}")'
    if default is True:
        return " (default true)"
    if kind == "duration":
        return f" (default {default // 1000000000}s)"
    return f" (default {default})"


def command_help(path: str, command: Command) -> str:
    """The whole help text of one command."""
    row = table.ALIASES.get(path, path)
    short = table.COMMANDS[row][1]
    text = f"Usage:  {usage_line(path)}\n\n{command.long or short}\n"
    aliases = [alias for alias, target in table.ALIASES.items() if target == row]
    if aliases:
        names = ", ".join(f"{PROGRAM} {name}" for name in (*aliases, row))
        text += f"\nAliases:\n  {names}\n"
    lines = flag_lines(command.flags)
    if lines:
        text += f"\nOptions:\n{lines}"
    return text


def _group_commands(group: str) -> list[tuple[str, str]]:
    """(name, description) of what is in a group; second spellings are left out."""
    rows: dict[str, tuple[str, str]] = {}
    for path, (target, short) in table.COMMANDS.items():
        first, _, name = path.rpartition(" ")
        if name and first == group and short:
            rows[target] = (name, short)
    for alias, row in table.ALIASES.items():
        first, _, name = alias.rpartition(" ")
        target, short = table.COMMANDS[row]
        if first == group and target not in rows and short:
            rows[target] = (name, short)
    for path, short in table.GROUPS.items():
        first, _, name = path.rpartition(" ")
        if name and first == group:
            rows[path] = (name, short)
    return sorted(rows.values())


def _columns(rows: Sequence[tuple[str, str]]) -> str:
    width = max((len(name) for name, _ in rows), default=0)
    width = max(width, 11)
    return "".join(f"  {name:<{width}} {short}\n" for name, short in rows)


def group_help(group: str) -> str:
    """The help text of a group such as ``pier container``."""
    return (
        f"Usage:  {PROGRAM} {group} COMMAND\n\n{table.GROUPS[group]}\n\nCommands:\n"
        + _columns(_group_commands(group))
        + f"\nRun '{PROGRAM} {group} COMMAND --help' for more information on a command.\n"
    )


def main_help() -> str:
    """The help text of ``pier`` itself."""
    common = [(name, table.COMMANDS[name][1]) for name in COMMON]
    others = [
        (name, short)
        for name, (_, short) in sorted(table.COMMANDS.items())
        if " " not in name and name not in COMMON
    ]
    return (
        f"Usage:  {PROGRAM} [OPTIONS] COMMAND\n\nRun and manage containers\n\nCommon Commands:\n"
        + _columns(common)
        + "\nManagement Commands:\n"
        + _columns(sorted((name, short) for name, short in table.GROUPS.items() if " " not in name))
        + "\nCommands:\n"
        + _columns(others)
        + "\nGlobal Options:\n"
        + flag_lines(GLOBAL_FLAGS)
        + f"\nRun '{PROGRAM} COMMAND --help' for more information on a command.\n"
    )


def help_text(path: str) -> str:
    """Help for a command path, a group, or '' for the program."""
    if not path:
        return main_help()
    row = table.ALIASES.get(path, path)
    if row in table.COMMANDS:
        return command_help(path, load(row))
    return group_help(path)


def print_help(path: str) -> int:
    """Help on stdout, exit code 0."""
    write_all(1, help_text(path).encode())
    return 0


def help_command(words: Sequence[str]) -> int:
    """``pier help [COMMAND...]``."""
    if not words:
        return print_help("")
    found = resolve(words)
    if found is not None and found[2] == len(words) and found[0] in table.COMMANDS:
        return print_help(found[1])
    if " ".join(words) in table.GROUPS:
        return print_help(" ".join(words))
    write_all(2, f"unknown help topic: {' '.join(words)}\n".encode())
    return 1


__all__ = ["command_help", "help_command", "help_text", "print_help", "usage_line"]
