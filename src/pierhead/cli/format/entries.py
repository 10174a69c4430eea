"""Files of images as text: modes, sizes, times, whole lines."""

from __future__ import annotations

from pierhead.cli.format.units import human_size

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

_LETTERS = {"directory": "d", "symlink": "l", "char": "c", "block": "b", "fifo": "p"}
#: As ``docker diff`` marks them.
CHANGE_LETTERS = {"added": "A", "changed": "C", "removed": "D", "": " "}


def mode_text(kind: str, mode: str) -> str:
    """``drwxr-xr-x`` as ls(1) prints it, from a type's name and octal digits."""
    bits = int(mode, 8)
    text = _LETTERS.get(kind, "-")
    for shift, special, letter in ((6, 0o4000, "s"), (3, 0o2000, "s"), (0, 0o1000, "t")):
        three = bits >> shift
        text += "r" if three & 4 else "-"
        text += "w" if three & 2 else "-"
        if bits & special:
            text += letter if three & 1 else letter.upper()
        else:
            text += "x" if three & 1 else "-"
    return text


def printable(path: str) -> str:
    """A name that cannot do anything to a terminal: control characters are escaped."""
    if path.isprintable():
        return path
    out = []
    for char in path:
        if "\udc80" <= char <= "\udcff":
            out.append(f"\\x{ord(char) - 0xDC00:02x}")
        elif char.isprintable():
            out.append(char)
        else:
            code = ord(char)
            out.append(f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}")
    return "".join(out)


def name_text(entry: Mapping[str, Any], name: str) -> str:
    """A name with what ls(1) would say beside it: a slash, a link's text, a device's numbers."""
    kind = entry.get("Type")
    if kind == "directory":
        return printable(name if name.endswith("/") else name + "/")
    if kind == "symlink":
        return f"{printable(name)} -> {printable(str(entry.get('Link', '')))}"
    if entry.get("Device"):
        return f"{printable(name)} ({entry['Device']})"
    return printable(name)


def entry_line(entry: Mapping[str, Any]) -> str:
    """``A -rw-r--r--  0:0  1.2kB  /etc/passwd``."""
    letter = CHANGE_LETTERS.get(str(entry.get("Change", "")), " ")
    mode = mode_text(str(entry["Type"]), str(entry["Mode"]))
    owner = f"{entry['Uid']}:{entry['Gid']}"
    size = human_size(int(entry["Size"]), 3) if entry["Type"] == "file" else ""
    return f"{letter} {mode} {owner:>9} {size:>8}  {name_text(entry, str(entry['Path']))}\n"


def percent(part: float) -> str:
    """A ratio as ``93.3%``; 100% only if it is all of it."""
    shown = part * 100
    if part < 1 and shown >= 99.95:
        return "99.9%"
    return f"{shown:.1f}%".replace("100.0%", "100%")


def count(number: int, noun: str, plural: str = "") -> str:
    """``1 file``, ``2 files``."""
    return f"{number} {noun if number == 1 else plural or noun + 's'}"
