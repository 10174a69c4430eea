"""Groups and targets of all bake files: merging, ``--set``, inheritance, what is asked for.

No IO: files come as names and bytes. Rules as in buildx's ``bake/bake.go``.
"""

from __future__ import annotations

from pierhead.cli.bake import target as fields
from pierhead.cli.bake.target import BakeProblem, Change

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from typing import Any

    from pierhead.cli.bake.module import Module
    from pierhead.cli.bake.target import Target

DEFAULT_FILES = (
    "compose.yaml",
    "compose.yml",
    "docker-compose.yml",
    "docker-compose.yaml",
    "docker-bake.json",
    "docker-bake.hcl",
    "docker-bake.override.json",
    "docker-bake.override.hcl",
)


class Config:
    """What the files define."""

    def __init__(self) -> None:
        self.groups: dict[str, dict[str, Any]] = {}
        self.targets: dict[str, Target] = {}
        #: ``None`` where all files are Compose's.
        self.module: Module | None = None

    # Reading

    def add(self, groups: dict[str, dict[str, Any]], targets: dict[str, Target]) -> None:
        """Take groups and targets of a further file in."""
        for name, group in groups.items():
            if name in self.groups:
                before = self.groups[name]
                before["targets"] = fields.each_once([*before["targets"], *group["targets"]])
            else:
                self.groups[name] = group
        for name, one in targets.items():
            if name in self.targets:
                fields.merge(self.targets[name], one)
            else:
                self.targets[name] = one

    # What is asked for

    def matching(self, pattern: str) -> list[str]:
        """Groups and targets that a name on the command line means. Raises ``BakeProblem``."""
        if not any(char in pattern for char in "*?[]"):
            return [pattern]
        found = [name for name in (*self.groups, *self.targets) if matches(pattern, name)]
        if not found:
            raise BakeProblem(f'could not find any target matching "{pattern}"')
        return found

    def expand(self, name: str, seen: dict[str, tuple[list[str], list[str]]]) -> Any:
        """(targets, groups) that a name stands for; groups may hold groups."""
        if name in seen:
            return seen[name]
        group = self.groups.get(name)
        if group is None:
            return [name], []
        seen[name] = ([], [])
        targets: list[str] = []
        groups = [name]
        for one in group["targets"]:
            inner, above = self.expand(one, seen)
            targets += inner or [one]
            groups += above
        seen[name] = (targets, groups)
        return targets, groups

    def changes(
        self, overrides: Iterable[str], environment: Mapping[str, str]
    ) -> dict[str, dict[str, Change]]:
        """``--set`` by target and key. Raises ``BakeProblem``."""
        found: dict[str, dict[str, Change]] = {}
        for text in overrides:
            path, equals, value = text.partition("=")
            append = path.endswith("+")
            path = path.removesuffix("+")
            keys = path.split(".", 2)
            if len(keys) < 2:
                raise BakeProblem(f"invalid override key {path}, expected target.name")
            if not equals and keys[1] != "args":
                raise BakeProblem(f"invalid override {text}, expected target.name=value")
            if keys[1] in ("args", "contexts", "secret") and len(keys) != 3:
                wanted = path + ("+" if append else "")
                raise BakeProblem(f"invalid key {wanted}, {keys[1]} requires name")
            if not equals and keys[2] not in environment:
                continue
            for name in self._targets_of(keys[0]):
                change = found.setdefault(name, {}).setdefault(".".join(keys[1:]), Change())
                if keys[1] in fields.COLLECTED:
                    change.append = append
                    change.values.append(value)
                    change.value = value
                else:
                    change.value = value if equals else environment[keys[2]]
        return found

    def _targets_of(self, pattern: str) -> list[str]:
        if pattern in self.targets:
            return [pattern]
        found = [name for name in self.targets if matches(pattern, name)]
        if not found:
            raise BakeProblem(f"could not find any target matching '{pattern}'")
        return found

    def resolve(
        self, wanted: Sequence[str], overrides: Iterable[str], environment: Mapping[str, str]
    ) -> tuple[dict[str, dict[str, Any]], dict[str, Target]]:
        """(groups, targets) to show and to build, by name. Raises ``BakeProblem``, ``ValueError``.

        Targets that others take as a context come along, with ``cacheonly`` for output.
        """
        names: list[str] = []
        for pattern in wanted:
            names += self.matching(pattern.replace(".", "_"))
        names = fields.each_once(names)
        changes = self.changes(overrides, environment)
        targets: dict[str, Target] = {}
        groups: dict[str, dict[str, Any]] = {}
        for name in names:
            inner, above = self.expand(name, {})
            for one in fields.each_once(inner):
                targets[one] = self.target(one, changes)
            for one in fields.each_once(above):
                groups[one] = {**self.groups[one], "targets": list(self.groups[one]["targets"])}
        for name in names:
            if name == "default" and "default" in groups:
                continue
            group = groups.setdefault("default", {"targets": []})
            group["targets"].append(name)
        if "default" in groups:
            groups["default"]["targets"] = sorted(set(groups["default"]["targets"]))
        for name in list(targets):
            self._link(name, targets, changes, ())
        return groups, targets

    def target(self, name: str, changes: dict[str, dict[str, Change]]) -> Target:
        """A target with what it inherits, and its overrides. Raises ``BakeProblem``."""
        found = self._inherited(name, changes, {})
        assert found is not None
        found.pop("inherits", None)
        found.setdefault("context", ".")
        if not found.get("dockerfile"):
            found["dockerfile"] = "Dockerfile"
        return found

    def _inherited(
        self,
        name: str,
        changes: dict[str, dict[str, Change]],
        visited: dict[str, Target | None],
    ) -> Target | None:
        if name in visited:
            return visited[name]
        visited[name] = None
        own = self.targets.get(name)
        if own is None:
            raise BakeProblem(f"failed to find target {name}")
        found: Target = {}
        for parent in own.get("inherits", ()):
            inherited = self._inherited(parent, changes, visited)
            if inherited is not None:
                fields.merge(found, inherited)
        fields.merge(found, own)
        for field in fields.ENTRIES:
            if field in found:
                found[field] = [dict(entry) for entry in found[field]]
        fields.override(found, changes.get(name, {}))
        fields.normalize(found)
        visited[name] = found
        return found

    def _link(
        self,
        name: str,
        targets: dict[str, Target],
        changes: dict[str, dict[str, Change]],
        visited: tuple[str, ...],
    ) -> None:
        """Bring in what ``target:`` contexts name."""
        visited = (*visited, name)
        one = targets[name]
        for value in one.get("contexts", {}).values():
            if value is None or not value.startswith("target:"):
                continue
            other = value[len("target:") :]
            if other == name:
                raise BakeProblem(f"target {other} cannot link to itself")
            if other in visited:
                raise BakeProblem(f"infinite loop from {name} to {other}")
            if other not in targets:
                linked = self.target(other, changes)
                linked["output"] = [{"type": "cacheonly"}]
                targets[other] = linked
            self._link(other, targets, changes, visited)
            for entitlement in targets[other].get("entitlements", ()):
                if entitlement not in one.get("entitlements", ()):
                    one["entitlements"] = [*one.get("entitlements", ()), entitlement]
            mine, theirs = one.get("platforms", ()), targets[other].get("platforms", ())
            if len(mine) > 1 and len(theirs) > 1 and not set(mine) <= set(theirs):
                raise BakeProblem(
                    f"target {other} can't be used by {name} because its platforms "
                    f"[{' '.join(mine)}] are not a subset of [{' '.join(theirs)}]"
                )


def matches(pattern: str, name: str) -> bool:
    """Go's ``path.Match`` on a name without slashes."""
    import fnmatch

    return fnmatch.fnmatchcase(name, pattern.replace("[^", "[!"))


def parse(
    files: Iterable[tuple[str, bytes]],
    builtin: Mapping[str, str],
    variables: Mapping[str, str],
    environment: Mapping[str, str],
    *,
    compose_environment: Callable[[], Mapping[str, str]],
) -> Config:
    """All files. Raises ``HclError``, ``BakeProblem``, ``ValueError``."""
    from pierhead.cli.bake import module
    from pierhead.cli.bake.hcl import jsonfile, parser

    config = Config()
    bodies = []
    compose: list[tuple[str, bytes]] = []
    for name, data in files:
        text = data.decode("utf-8", "replace")
        lower = name.lower()
        if lower.endswith((".yml", ".yaml")):
            compose.append((name, data))
        elif lower.endswith(".json"):
            bodies.append(jsonfile.parse(name, text, module.BLOCKS))
        elif lower.endswith(".hcl"):
            bodies.append(parser.parse(name, text))
        else:
            bodies.append(_guess(name, text))
    if compose:
        from pierhead.cli.bake.compose import read

        config.add(*read(compose, {**compose_environment(), **variables}))
    if bodies:

        def lookup(name: str) -> str | None:
            found = variables.get(name)
            return environment.get(name) if found is None else found

        config.module = module.Module(bodies, builtin, lookup)
        config.module.validate()
        groups, targets = config.module.read()
        for name in groups:
            config.groups.pop(name, None)  # those of HCL replace Compose's
        config.add(groups, targets)
        for old, new in config.module.renamed.items():
            if new != [old]:
                config.add({old: {"targets": fields.each_once(new)}}, {})
    return config


def _guess(name: str, text: str) -> Any:
    """A file without a telling name: HCL, or else JSON."""
    from pierhead.cli.bake import module
    from pierhead.cli.bake.hcl import jsonfile, nodes, parser

    try:
        return parser.parse(name, text)
    except nodes.HclError:
        try:
            return jsonfile.parse(name, text, module.BLOCKS)
        except nodes.HclError:
            pass
        raise
