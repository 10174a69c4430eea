"""Which packages a file tree holds: Debian's, Alpine's, Python's and npm's. No IO.

Read off the files that the package managers keep: ``/var/lib/dpkg/status`` and
``status.d/*`` (dpkg(1), distroless), ``/lib/apk/db/installed`` (apk's database: ``P:`` and
``V:`` lines), names of ``*.dist-info`` and ``*.egg-info`` (PEP 376, PEP 503), and
``node_modules/*/package.json``. RPM's database isn't read.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import Final

DPKG: Final = "dpkg"
APK: Final = "apk"
PIP: Final = "pip"
NPM: Final = "npm"
SYSTEMS: Final = (DPKG, APK, PIP, NPM)

READ_LIMIT_BYTES: Final = 32 << 20
"""Of one package manager's file."""
_DPKG_STATUS: Final = b"var/lib/dpkg/status"
_DPKG_FOLDER: Final = b"var/lib/dpkg/status.d/"
_APK: Final = frozenset({b"lib/apk/db/installed", b"usr/lib/apk/db/installed"})
_DIST_INFO: Final = re.compile(
    rb"/([A-Za-z0-9][A-Za-z0-9._]*)-([0-9][^/-]*)(?:-py[0-9.]+)?\.(?:dist|egg)-info(?:/|$)"
)
_PACKAGE_JSON: Final = re.compile(rb"(?:^|/)node_modules/((?:@[^/]+/)?[^/@.][^/]*)/package\.json$")

Found = dict[str, dict[str, list[str]]]
"""system → name → versions, sorted."""


def wants_content(path: bytes) -> bool:
    """Whether ``collect`` needs this file's bytes."""
    if path.endswith(b"package.json"):
        return _PACKAGE_JSON.search(path) is not None
    return path == _DPKG_STATUS or path.startswith(_DPKG_FOLDER) or path in _APK


def names_package(path: bytes) -> bool:
    """Whether the path alone says which package and version is there."""
    return b"-info" in path and _DIST_INFO.search(path) is not None


def collect(files: Iterable[tuple[bytes, bytes]]) -> Found:
    """The packages, from (path, content); content is empty where the name is enough."""
    found: dict[str, dict[str, set[str]]] = {system: {} for system in SYSTEMS}

    def add(system: str, name: str, version: str) -> None:
        if name and version:
            found[system].setdefault(name, set()).add(version)

    for path, data in files:
        if path == _DPKG_STATUS or path.startswith(_DPKG_FOLDER):
            for name, version in _dpkg(data):
                add(DPKG, name, version)
        elif path in _APK:
            for name, version in _apk(data):
                add(APK, name, version)
        elif path.endswith(b"package.json"):
            match = _PACKAGE_JSON.search(path)
            if match is not None:
                add(NPM, _text(match[1]), _npm_version(data))
        elif (match := _DIST_INFO.search(path)) is not None:
            name = re.sub(r"[-_.]+", "-", _text(match[1])).lower()
            add(PIP, name, _text(match[2]))
    return {
        system: {name: sorted(versions) for name, versions in sorted(names.items())}
        for system, names in found.items()
        if names
    }


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "replace")


def _dpkg(data: bytes) -> Iterable[tuple[str, str]]:
    """Name (with the architecture where it is a foreign one's) and version of what is installed."""
    for stanza in data.split(b"\n\n"):
        fields: dict[bytes, bytes] = {}
        for line in stanza.split(b"\n"):
            key, colon, value = line.partition(b":")
            if colon and key[:1].isalpha():
                fields[key] = value.strip()
        status = fields.get(b"Status")
        if status is None or status.endswith(b" installed"):  # status.d has no Status
            yield _text(fields.get(b"Package", b"")), _text(fields.get(b"Version", b""))


def _apk(data: bytes) -> Iterable[tuple[str, str]]:
    for stanza in data.split(b"\n\n"):
        name = version = b""
        for line in stanza.split(b"\n"):
            if line.startswith(b"P:"):
                name = line[2:]
            elif line.startswith(b"V:"):
                version = line[2:]
        yield _text(name), _text(version)


def _npm_version(data: bytes) -> str:
    try:
        parsed = json.loads(data)
    except (ValueError, RecursionError):
        return ""
    version = parsed.get("version") if isinstance(parsed, dict) else None
    return version if isinstance(version, str) else ""


def compare(a: Found, b: Found) -> dict[str, dict[str, list[dict[str, object]]]]:
    """By system: ``Added``, ``Removed`` (Name, Versions) and ``Changed`` (Name, A, B)."""
    result: dict[str, dict[str, list[dict[str, object]]]] = {}
    for system in SYSTEMS:
        ours, theirs = a.get(system, {}), b.get(system, {})
        if not ours and not theirs:
            continue
        result[system] = {
            "Added": [
                {"Name": name, "Versions": theirs[name]} for name in theirs if name not in ours
            ],
            "Removed": [
                {"Name": name, "Versions": ours[name]} for name in ours if name not in theirs
            ],
            "Changed": [
                {"Name": name, "A": ours[name], "B": theirs[name]}
                for name in ours
                if name in theirs and ours[name] != theirs[name]
            ],
        }
    return result
