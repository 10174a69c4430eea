"""The text of ``pier image diff``: configuration, layers, packages, files."""

from __future__ import annotations

from pierhead.cli.format.entries import CHANGE_LETTERS, count, mode_text, name_text, printable
from pierhead.cli.format.explore import size_text, title
from pierhead.cli.format.units import ellipsis

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    Report = Mapping[str, Any]

SECTIONS = ("config", "layers", "packages", "files")


def differs(report: Report) -> bool:
    """Whether anything that was compared is not the same."""
    if report["Config"] or report.get("Files", {}).get("Entries"):
        return True
    return any(
        kinds["Added"] or kinds["Removed"] or kinds["Changed"]
        for kinds in report.get("Packages", {}).values()
    )


def diff_text(
    report: Report, sections: Sequence[str] = SECTIONS, *, every: bool = False, trunc: bool = True
) -> str:
    """The chosen sections; ``every`` lists what is in added and removed directories, too."""
    out = [f"{name}  {_image(report[name])}\n" for name in ("A", "B")]
    if report["A"]["Id"] == report["B"]["Id"]:
        return "".join([*out, "\nThe same image\n"])
    if "config" in sections:
        out += ("\n", _config(report["Config"], trunc))
    if "layers" in sections:
        out += ("\n", _layers(report["Layers"], trunc))
    if "packages" in sections:
        for system, kinds in report.get("Packages", {}).items():
            out += ("\n", _packages(system, kinds))
    if "files" in sections and "Files" in report:
        out += ("\n", _files(report["Files"], every))
    return "".join(out)


def _image(side: Report) -> str:
    return f"{title(side)}  {size_text(side['Size'])} in {count(side['Layers'], 'layer')}"


def _value(value: Any, trunc: bool) -> str:
    if value is None:
        return "(not set)"
    if value is True:
        return "set"
    if not isinstance(value, str):
        from pierhead.client.json_fast import dumps

        value = dumps(value)
    text = printable(value)
    return ellipsis(text, 120) if trunc else text


def _config(fields: Sequence[Report], trunc: bool) -> str:
    if not fields:
        return "Configuration: the same\n"
    lines = [f"Configuration: {count(len(fields), 'difference')}\n"]
    for field in fields:
        lines.append(f"  {printable(field['Field'])}\n")
        lines.append(f"    A  {_value(field['A'], trunc)}\n")
        lines.append(f"    B  {_value(field['B'], trunc)}\n")
    return "".join(lines)


def _layers(layers: Report, trunc: bool) -> str:
    lines = [
        f"Layers: {layers['Shared']} shared ({size_text(layers['SharedSize'])}), "
        f"{len(layers['A'])} in A only, {len(layers['B'])} in B only\n"
    ]
    for name in ("A", "B"):
        for layer in layers[name]:
            command = printable(" ".join(str(layer["CreatedBy"] or layer["Comment"]).split()))
            command = ellipsis(command, 80) if trunc else command
            lines.append(f"  {name}  {size_text(layer['Size']):>8}  {command or '-'}\n")
    return "".join(lines)


def _packages(system: str, kinds: Report) -> str:
    added, removed, changed = kinds["Added"], kinds["Removed"], kinds["Changed"]
    if not added and not removed and not changed:
        return f"Packages ({system}): the same\n"
    lines = [
        f"Packages ({system}): {len(added)} added, {len(removed)} removed, {len(changed)} changed\n"
    ]
    rows = [("A", item["Name"], ", ".join(item["Versions"])) for item in added]
    rows += [("D", item["Name"], ", ".join(item["Versions"])) for item in removed]
    rows += [
        ("C", item["Name"], f"{', '.join(item['A'])} -> {', '.join(item['B'])}") for item in changed
    ]
    rows.sort(key=lambda row: str(row[1]))
    width = max(len(str(row[1])) for row in rows)
    lines += [
        f"  {letter} {printable(name):<{width}}  {printable(versions)}\n"
        for letter, name, versions in rows
    ]
    return "".join(lines)


def _files(files: Report, every: bool) -> str:
    entries = files["Entries"]
    if not entries:
        return "Files: the same\n"
    grown = files["ChangedSizeB"] - files["ChangedSizeA"]
    sign = "-" if grown < 0 else "+"
    lines = [
        f"Files: {files['Added']} added ({size_text(files['AddedSize'])}), "
        f"{files['Removed']} removed ({size_text(files['RemovedSize'])}), "
        f"{files['Changed']} changed ({sign}{size_text(abs(grown))})\n"
    ]
    lines += _every(entries) if every else _folded(entries)
    return "".join(lines)


def _every(entries: Sequence[Report]) -> list[str]:
    return [_line(entry) for entry in entries]


def _folded(entries: Sequence[Report]) -> list[str]:
    """A directory that is new or gone as a whole is one line, with the sum of what is in it."""
    lines: list[str] = []
    at = 0
    while at < len(entries):
        entry = entries[at]
        at += 1
        if entry["Change"] == "changed" or entry["Type"] != "directory":
            lines.append(_line(entry))
            continue
        prefix, size, files = str(entry["Path"]) + "/", 0, 0
        while (
            at < len(entries)
            and entries[at]["Change"] == entry["Change"]
            and str(entries[at]["Path"]).startswith(prefix)
        ):
            size += int(entries[at]["Size"])
            files += entries[at]["Type"] != "directory"
            at += 1
        more = f"{count(files, 'file')}, {size_text(size)}" if files else ""
        lines.append(_line(entry, more))
    return lines


def _line(entry: Report, more: str = "") -> str:
    letter = CHANGE_LETTERS[str(entry["Change"])]
    path = str(entry["Path"])
    if entry["Change"] != "changed":
        name = name_text(entry, path)
        if entry["Type"] == "file":
            more = size_text(entry["Size"])
        return f"  {letter} {name}{f'  ({more})' if more else ''}\n"
    a, b = entry["A"], entry["B"]
    what = [_aspect(str(aspect), a, b) for aspect in entry["What"]]
    kind = {"Type": b["Type"]} if b["Type"] == "directory" else {}
    return f"  {letter} {name_text(kind, path)}  ({', '.join(what)})\n"


def _aspect(aspect: str, a: Report, b: Report) -> str:
    if aspect == "size":
        return f"{size_text(a['Size'])} -> {size_text(b['Size'])}"
    if aspect == "mode":
        return f"{mode_text(a['Type'], a['Mode'])} -> {mode_text(b['Type'], b['Mode'])}"
    if aspect == "owner":
        return f"{a['Uid']}:{a['Gid']} -> {b['Uid']}:{b['Gid']}"
    if aspect == "type":
        return f"{a['Type']} -> {b['Type']}"
    if aspect == "link":
        return f"-> {printable(a.get('Link', ''))}, now -> {printable(b.get('Link', ''))}"
    return aspect
