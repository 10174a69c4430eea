"""The direction of imports, and who may open which door.

``docs/architecture.md`` draws the rooms; this reads every module of the package,
lazy imports included, and holds the drawing to be true.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

SRC = Path(__file__).parents[2] / "src"
PACKAGE = SRC / "pierhead"

# Room -> rooms it may import besides itself. A room that is not here is new: draw it.
ALLOWED: dict[str, frozenset[str]] = {
    "oci": frozenset(),
    "linux": frozenset({"oci"}),
    "store": frozenset({"oci", "linux"}),
    "runtime": frozenset({"oci", "linux", "store"}),
    "engine": frozenset({"oci", "linux", "store", "runtime"}),
    "build": frozenset({"oci", "linux", "store", "runtime", "engine"}),
    "distribution": frozenset({"oci", "linux", "store", "engine"}),
    "api": frozenset({"oci", "linux", "store", "engine", "build", "distribution"}),
    "daemon": frozenset(
        {"oci", "linux", "store", "runtime", "engine", "build", "distribution", "api"}
    ),
    "client": frozenset(),
    "cli": frozenset({"client"}),
}
# Pure formats of the client that the daemon's edge speaks as well: module -> rooms.
SHARED: dict[str, frozenset[str]] = {"pierhead.client.build_wire": frozenset({"api"})}
# Modules at the top of the package that every room may use.
BASE = frozenset({"errors", "tasks"})
BASE_OF_CLIENT = frozenset({"errors"})

KERNEL_DOORS = frozenset({"ctypes", "subprocess", "_posixsubprocess", "multiprocessing", "pty"})
# What a room without IO has no use for.
IO_MODULES = frozenset(
    {"aiohttp", "asyncio", "http", "os", "shutil", "socket", "sqlite3", "tempfile", "threading"}
)
# Milliseconds at start-up, so never at the top of a module on the client's path.
SLOW_FOR_CLIENT = frozenset(
    {
        "aiohttp",
        "argparse",
        "asyncio",
        "dataclasses",
        "http",
        "inspect",
        "json",
        "logging",
        "msgspec",
        "pathlib",
        "re",
        "shutil",
        "ssl",
        "subprocess",
        "tempfile",
        "typing",
        "urllib",
    }
)

# Rooms that a module of the client may use where it has something to ask a registry itself.
LATE: dict[str, frozenset[str]] = {
    # .dockerignore is the same on both sides of a build.
    "cli/build/classic.py": frozenset({"build"}),
    "cli/build/walk.py": frozenset({"build"}),
    "cli/buildx/imagetools.py": frozenset({"distribution", "oci"}),
    "cli/manifest/remote.py": frozenset({"distribution", "oci"}),
}

# Imported themselves only when there is TLS to be done, or a function of a bake file to call.
IMPORTED_LATE = frozenset(
    {"tls.py", "collection_functions.py", "number_functions.py", "text_functions.py"}
)


@dataclass(frozen=True)
class Import:
    module: str
    line: int
    lazy: bool
    typing_only: bool


def _walk(node: ast.AST, lazy: bool, typing_only: bool) -> Iterator[tuple[ast.AST, bool, bool]]:
    for child in ast.iter_child_nodes(node):
        inner_lazy = lazy or isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        inner_typing = typing_only or (
            isinstance(child, ast.If)
            and isinstance(child.test, ast.Name | ast.Attribute)
            and getattr(child.test, "id", getattr(child.test, "attr", "")) == "TYPE_CHECKING"
        )
        yield child, inner_lazy, inner_typing
        yield from _walk(child, inner_lazy, inner_typing)


def imports_of(path: Path) -> list[Import]:
    """Every module that the file names in an import, absolute."""
    parts = path.relative_to(SRC).with_suffix("").parts
    package = parts[:-1]
    found: list[Import] = []
    for node, lazy, typing_only in _walk(ast.parse(path.read_text()), False, False):
        if isinstance(node, ast.Import):
            found += [Import(alias.name, node.lineno, lazy, typing_only) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else ()
            module = ".".join((*base, *((node.module or "").split(".") if node.module else ())))
            if module == "pierhead" or module.startswith("pierhead."):
                # `from pierhead.linux import mounts` names a module, or an attribute: both are fine
                found += [
                    Import(f"{module}.{alias.name}", node.lineno, lazy, typing_only)
                    for alias in node.names
                ]
            else:
                found.append(Import(module, node.lineno, lazy, typing_only))
    return found


def modules() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


def room_of(path: Path) -> str:
    parts = path.relative_to(PACKAGE).parts
    return parts[0] if len(parts) > 1 else ""


def test_every_room_is_drawn() -> None:
    rooms = {room_of(path) for path in modules()} - {""}
    assert rooms <= set(ALLOWED), f"rooms without a row in ALLOWED: {rooms - set(ALLOWED)}"


@pytest.mark.parametrize("room", sorted(ALLOWED))
def test_imports_go_one_way(room: str) -> None:
    wrong = []
    base = BASE_OF_CLIENT if room in ("cli", "client") else BASE
    for path in modules():
        if room_of(path) != room:
            continue
        for entry in imports_of(path):
            parts = entry.module.split(".")
            if parts[0] != "pierhead" or len(parts) < 2:
                continue
            target = parts[1]
            if (entry.lazy or entry.typing_only) and target in LATE.get(
                "/".join(path.parts[-3:]), ()
            ):
                continue
            if target == room or target in ALLOWED[room] or target in base:
                continue
            if any(
                entry.module == module or entry.module.startswith(module + ".")
                for module, rooms in SHARED.items()
                if room in rooms
            ):
                continue
            if target not in ALLOWED and target not in BASE:
                continue  # pierhead.__version__
            wrong.append(f"{path.relative_to(SRC)}:{entry.line} imports {entry.module}")
    assert not wrong, "\n".join(wrong)


def test_the_base_imports_no_room() -> None:
    wrong = [
        f"{path.name}:{entry.line} imports {entry.module}"
        for path in modules()
        if room_of(path) == ""
        for entry in imports_of(path)
        if entry.module.startswith("pierhead.") and entry.module.split(".")[1] in ALLOWED
    ]
    assert not wrong, "\n".join(wrong)


def test_only_linux_opens_the_door_to_the_kernel() -> None:
    """ctypes and subprocess belong to ``linux``; ``cli`` may start a helper, lazily."""
    wrong = []
    for path in modules():
        room = room_of(path)
        if room == "linux":
            continue
        for entry in imports_of(path):
            top = entry.module.split(".")[0]
            if top in KERNEL_DOORS and not (room == "cli" and top == "subprocess" and entry.lazy):
                wrong.append(f"{path.relative_to(SRC)}:{entry.line} imports {entry.module}")
    assert not wrong, "\n".join(wrong)


def test_formats_and_models_do_no_io() -> None:
    wrong = []
    for path in modules():
        if room_of(path) != "oci" and path.name != "model.py":
            continue
        for entry in imports_of(path):
            if entry.module.split(".")[0] in IO_MODULES and not entry.typing_only:
                wrong.append(f"{path.relative_to(SRC)}:{entry.line} imports {entry.module}")
        for node in ast.walk(ast.parse(path.read_text())):
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Name)
                and node.func.id == "open"
            ):
                wrong.append(f"{path.relative_to(SRC)}:{node.lineno} calls open()")
    assert not wrong, "\n".join(wrong)


def test_the_client_imports_nothing_slow_at_the_top() -> None:
    wrong = [
        f"{path.relative_to(SRC)}:{entry.line} imports {entry.module}"
        for path in modules()
        if room_of(path) in ("cli", "client") and path.name not in IMPORTED_LATE
        for entry in imports_of(path)
        if entry.module.split(".")[0] in SLOW_FOR_CLIENT
        and not entry.lazy
        and not entry.typing_only
    ]
    assert not wrong, "import these where they are used:\n" + "\n".join(wrong)


def test_no_module_has_grown_out_of_hand() -> None:
    """100-300 lines are the aim, 500 the point to think again; past 700 a module is split."""
    long = {
        str(path.relative_to(SRC)): lines
        for path in modules()
        if (lines := len(path.read_text().splitlines())) > 700
    }
    assert not long, f"split by subject: {long}"
