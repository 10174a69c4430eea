"""What ``--print`` and ``--list`` show, as buildx does. Pure."""

from __future__ import annotations

from pierhead.cli.bake.target import BakeProblem, shown
from pierhead.cli.format.tabwriter import tabbed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from pierhead.cli.bake.config import Config
    from pierhead.cli.bake.target import Target


def go_json(value: object) -> str:
    """JSON with an indent of two as Go writes it: ``<>&`` escaped, other letters as they are."""
    import json

    text = json.dumps(value, indent=2, ensure_ascii=False)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def printed(groups: dict[str, dict[str, Any]], targets: dict[str, Target]) -> str:
    """``--print``: groups and targets by name."""
    out: dict[str, Any] = {}
    if groups:
        out["group"] = {
            name: {
                **({"description": group["description"]} if group.get("description") else {}),
                "targets": group["targets"],
            }
            for name, group in sorted(groups.items())
        }
    out["target"] = {name: shown(target) for name, target in sorted(targets.items())}
    return go_json(out) + "\n"


def listed(config: Config, what: str) -> str:
    """``--list targets|variables[,format=json]``. Raises ``BakeProblem``, ``ValueError``."""
    from pierhead.cli.flags import split_csv

    kind, form = "", "table"
    for field in split_csv(what):
        key, equals, value = field.partition("=")
        if not equals and field == what:
            kind = field
        elif not equals:
            raise BakeProblem(f"invalid value {field}")
        elif key.strip().lower() == "type":
            kind = value
        elif key.strip().lower() == "format":
            form = value
        else:
            raise BakeProblem(f"unexpected key '{key.strip().lower()}' in '{field}'")
    if kind not in ("targets", "variables"):
        raise BakeProblem(f'invalid list type "{kind}"')
    if form not in ("table", "json"):
        raise BakeProblem(f'invalid list format "{form}"')
    rows = _targets(config) if kind == "targets" else _variables(config)
    if form == "json":
        return go_json(rows) + "\n" if rows else "null\n"
    if kind == "targets":
        lines = [["TARGET", "DESCRIPTION"]]
        lines += [[row["name"], row.get("description", "")] for row in rows]
    else:
        lines = [["VARIABLE", "TYPE", "VALUE", "DESCRIPTION"]]
        lines += [
            [
                row["name"],
                row.get("type", ""),
                row.get("value", "<null>"),
                row.get("description", ""),
            ]
            for row in rows
        ]
    return tabbed(lines)


def _targets(config: Config) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    entries = [(name, "target") for name in config.targets] + [
        (name, "group") for name in config.groups
    ]
    for name, kind in sorted(entries, key=lambda one: one[0]):
        if name.startswith("_"):
            continue
        row: dict[str, Any] = {"name": name}
        if kind == "target":
            text = str(config.targets[name].get("description", ""))
        else:
            text = str(config.groups[name].get("description", ""))
            names = ", ".join(sorted(config.groups[name]["targets"]))
            if names:
                text = f"{text} ({names})" if text else names
        if text:
            row["description"] = text
        if kind == "group":
            row["group"] = True
        rows.append(row)
    return rows


def _variables(config: Config) -> list[dict[str, Any]]:
    from pierhead.cli.bake import variables
    from pierhead.cli.bake.hcl.values import friendly

    if config.module is None:
        return []
    rows: list[dict[str, Any]] = []
    for name, definition in sorted(config.module.variables.items()):
        row: dict[str, Any] = {"name": name}
        if definition.type is not None:
            row["type"] = friendly(definition.type)
        value = config.module.value(name)
        if definition.description:
            row["description"] = definition.description
        if value is not None:
            row["value"] = variables.shown(value)
        rows.append(row)
    return rows
