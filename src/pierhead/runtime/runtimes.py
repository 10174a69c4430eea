"""The OCI runtimes of the configuration, each found when the first container wants it.

They share the directory of states: an id is one runtime's only.
"""

from __future__ import annotations

from collections.abc import Mapping

from pierhead.runtime.crun import Runtime
from pierhead.store.paths import Paths


class Runtimes:
    """``default`` is prepared by whoever made it; the others here."""

    def __init__(self, paths: Paths, default: Runtime) -> None:
        self._paths = paths
        self.default = default
        self._others: dict[str, Runtime] = {}

    def named(self, name: str, binaries: Mapping[str, str]) -> Runtime:
        """The runtime that ``name`` stands for in the configuration's ``binaries``.

        A name that is not there is one of the usual names for "the default". Raises
        ``Unavailable`` naming the package when the program is missing.
        """
        return self.by_binary(binaries.get(name, ""))

    def by_binary(self, binary: str) -> Runtime:
        """The runtime of a program's name or path; "" is the default. Raises ``Unavailable``."""
        if binary in ("", self.default.binary):
            return self.default
        found = self._others.get(binary)
        if found is None:
            found = Runtime(self._paths, binary)
            found.prepare()
            self._others[binary] = found
        return found

    def close(self) -> None:
        """Let go of the others' bind mounts."""
        for runtime in self._others.values():
            runtime.close()
