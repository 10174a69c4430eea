"""Importing aiohttp's server without its client: 7 MB less in a daemon that idles in 35.

``import aiohttp.web_server`` runs ``aiohttp/__init__.py`` first, which imports all of the
client. ``install`` puts a package in its place that has the same path and so the same
submodules, and becomes the whole package as soon as somebody asks it for anything else.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any


class _Package(ModuleType):
    """A package whose ``__init__`` runs at the first look at an attribute it would set."""

    def __getattr__(self, name: str) -> Any:
        spec: ModuleSpec | None = self.__spec__
        if name.startswith("__") or spec is None or spec.loader is None:
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")
        if importlib.util.find_spec(f"{self.__name__}.{name}") is not None:
            return importlib.import_module(f"{self.__name__}.{name}")
        self.__class__ = ModuleType  # type: ignore[assignment]
        spec.loader.exec_module(self)
        return getattr(self, name)


def install(name: str = "aiohttp") -> None:
    """Make the import of ``name`` lazy, unless it has been imported already."""
    if name in sys.modules:
        return
    spec = importlib.util.find_spec(name)
    if spec is None or spec.submodule_search_locations is None:
        return  # the real import says what is wrong
    package = _Package(name, f"{name}, loaded when needed")
    package.__spec__ = spec
    package.__loader__ = spec.loader
    package.__path__ = spec.submodule_search_locations
    package.__file__ = spec.origin
    package.__package__ = name
    package.__version__ = _version(spec.origin)  # type: ignore[attr-defined]
    sys.modules[name] = package


def _version(source: str | None) -> str:
    """What the package's ``__version__`` will be: its own submodules ask for it.

    From the source's first lines; ``importlib.metadata`` would cost 2 MB of imports.
    """
    if source is not None:
        with open(source, encoding="utf-8") as file:
            for line in file.read(1000).splitlines():
                if line.startswith("__version__ = "):
                    return line.partition("=")[2].strip().strip("\"'")
    return ""
