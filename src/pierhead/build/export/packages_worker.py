"""Worker: which packages a tree has, by the databases that package managers leave.

Chrooted into the tree, so links lead nowhere else. Reads dpkg's status (also distroless'
``status.d``), apk's ``installed``, rpm's SQLite database, Python's ``dist-info`` and
``egg-info``, npm's ``package.json``. What is broken is passed over: it is somebody's image.
"""

from __future__ import annotations

import json
import os
import re
import sqlite3
import stat
import struct
from collections.abc import Iterator
from typing import Any, Final

FILE_LIMIT_BYTES: Final = 64 << 20
META_LIMIT_BYTES: Final = 1 << 20
ENTRIES_LIMIT: Final = 5_000_000
PACKAGES_LIMIT: Final = 200_000

_SKIPPED: Final = frozenset({"proc", "sys", "dev"})
_DPKG: Final = ("var/lib/dpkg/status",)
_DPKG_DIRECTORY: Final = "var/lib/dpkg/status.d"
_APK: Final = ("lib/apk/db/installed", "usr/lib/apk/db/installed")
_RPM: Final = ("var/lib/rpm/rpmdb.sqlite", "usr/lib/sysimage/rpm/rpmdb.sqlite")
_NAME: Final = re.compile(r"[A-Za-z0-9._@/+~-]+")

Package = dict[str, Any]


def scan(root: str = "/") -> dict[str, Any]:
    """``packages`` (sorted) and ``distribution`` (os-release) of the tree at ``root``."""
    found: list[Package] = []
    for path in _DPKG:
        found += dpkg(_read(root, path), path)
    for name in _listed(root, _DPKG_DIRECTORY):
        if not name.endswith(".md5sums"):
            path = f"{_DPKG_DIRECTORY}/{name}"
            found += dpkg(_read(root, path), path, always=True)
    for path in _APK:
        found += apk(_read(root, path), path)
    for path in _RPM:
        found += rpm(os.path.join(root, path), path)
    for package in languages(root):
        found.append(package)
        if len(found) >= PACKAGES_LIMIT:
            break
    unique = {
        (each["type"], each["name"], each["version"], each.get("arch", ""), each["path"]): each
        for each in found
    }
    release = _read(root, "etc/os-release") or _read(root, "usr/lib/os-release")
    return {
        "packages": [unique[key] for key in sorted(unique)][:PACKAGES_LIMIT],
        "distribution": os_release(release),
    }


def os_release(text: str) -> dict[str, str]:
    """``ID`` and ``VERSION_ID`` (os-release(5))."""
    found = {}
    for line in text.splitlines():
        key, _, value = line.partition("=")
        if key in ("ID", "VERSION_ID"):
            found[key] = value.strip().strip("\"'")
    return found


def _paragraphs(text: str) -> Iterator[dict[str, str]]:
    """Debian control paragraphs; continuation lines are dropped."""
    for block in re.split(r"\n[ \t]*\n", text):
        fields: dict[str, str] = {}
        for line in block.splitlines():
            if line[:1] in (" ", "\t"):
                continue
            key, colon, value = line.partition(":")
            if colon:
                fields.setdefault(key.strip().lower(), value.strip())
        if fields:
            yield fields


def dpkg(text: str, path: str, *, always: bool = False) -> Iterator[Package]:
    """Installed packages of a dpkg status file (dpkg(1), deb-control(5))."""
    for fields in _paragraphs(text):
        name, version = fields.get("package", ""), fields.get("version", "")
        if not name or not (always or fields.get("status", "").endswith(" installed")):
            continue
        package = _package("deb", name, version, path)
        _add(package, "arch", fields.get("architecture", ""))
        source, _, version = fields.get("source", "").partition(" (")  # "bash (5.2-1)"
        _add(package, "source", f"{source}@{version.rstrip(')')}" if version else source)
        _add(package, "supplier", fields.get("maintainer", ""))
        yield package


def apk(text: str, path: str) -> Iterator[Package]:
    """apk's installed database: one-letter fields (apk-tools, database format v2)."""
    for block in text.split("\n\n"):
        fields = {line[0]: line[2:] for line in block.splitlines() if line[1:2] == ":"}
        if "P" in fields:
            package = _package("apk", fields["P"], fields.get("V", ""), path)
            _add(package, "arch", fields.get("A", ""))
            _add(package, "license", fields.get("L", ""))
            _add(package, "source", fields.get("o", ""))
            _add(package, "supplier", fields.get("m", ""))
            yield package


_TAGS: Final = {1000: "name", 1001: "version", 1002: "release", 1003: "epoch", 1014: "license",
                1011: "supplier", 1022: "arch"}  # fmt: skip


def rpm(file: str, path: str) -> Iterator[Package]:
    """rpm's SQLite database (rpm 4.16 and later): a header blob for each package."""
    try:
        if not stat.S_ISREG(os.lstat(file).st_mode):
            return
        database = sqlite3.connect(f"file:{file}?mode=ro&immutable=1", uri=True)
    except (OSError, sqlite3.Error):
        return
    try:
        blobs = [row[0] for row in database.execute("SELECT blob FROM Packages")]
    except sqlite3.Error:
        return
    finally:
        database.close()
    for blob in blobs:
        try:
            fields = _rpm_header(blob)
        except (struct.error, IndexError, ValueError):
            continue
        if fields.get("name") and fields["name"] != "gpg-pubkey":
            version = f"{fields.get('version', '')}-{fields.get('release', '')}"
            package = _package("rpm", str(fields["name"]), version, path)
            for key in ("arch", "license", "supplier"):
                _add(package, key, str(fields.get(key, "")))
            yield package


def _rpm_header(blob: bytes) -> dict[str, Any]:
    """The wanted tags of a header: index entries (tag, type, offset, count), then the data."""
    count, size = struct.unpack_from(">II", blob)
    data = blob[8 + 16 * count : 8 + 16 * count + size]
    found: dict[str, Any] = {}
    for number in range(min(count, 4096)):
        tag, kind, offset, _ = struct.unpack_from(">IIiI", blob, 8 + 16 * number)
        if tag in _TAGS and kind in (6, 9):
            found[_TAGS[tag]] = data[offset : data.index(b"\0", offset)].decode("utf-8", "replace")
    return found


def languages(root: str) -> Iterator[Package]:
    """Python's and npm's packages anywhere in the tree."""
    seen = 0
    for directory, names, files in os.walk(root):
        if directory == root:
            names[:] = [name for name in names if name not in _SKIPPED]
        names.sort()
        seen += len(names) + len(files)
        if seen > ENTRIES_LIMIT:
            return
        inside = os.path.relpath(directory, root)
        for name in names:
            if name.endswith((".dist-info", ".egg-info")):
                meta = "METADATA" if name.endswith(".dist-info") else "PKG-INFO"
                yield from _python(root, os.path.normpath(f"{inside}/{name}/{meta}"))
        for name in files:
            if name.endswith(".egg-info"):
                yield from _python(root, os.path.normpath(f"{inside}/{name}"))
        parent = os.path.basename(os.path.dirname(directory))
        if "package.json" in files and (
            parent == "node_modules"
            or (parent.startswith("@") and "/node_modules/" in f"/{inside}/")
        ):
            yield from _npm(root, os.path.normpath(f"{inside}/package.json"))


def _python(root: str, path: str) -> Iterator[Package]:
    """Core metadata: headers as of an e-mail (packaging.python.org, "Core metadata")."""
    text = _read(root, path, META_LIMIT_BYTES)
    fields = next(_paragraphs(text), {})
    if fields.get("name"):
        package = _package("pypi", fields["name"], fields.get("version", ""), path)
        _add(package, "license", fields.get("license-expression") or fields.get("license", ""))
        yield package


def _npm(root: str, path: str) -> Iterator[Package]:
    try:
        document = json.loads(_read(root, path, META_LIMIT_BYTES))
    except (ValueError, RecursionError):
        return
    if not isinstance(document, dict):
        return
    name, version = document.get("name"), document.get("version")
    if isinstance(name, str) and isinstance(version, str) and _NAME.fullmatch(name):
        package = _package("npm", name, version, path)
        license_ = document.get("license")
        _add(package, "license", license_ if isinstance(license_, str) else "")
        yield package


def _package(kind: str, name: str, version: str, path: str) -> Package:
    return {"type": kind, "name": name[:500], "version": version[:500], "path": f"/{path}"}


def _add(package: Package, key: str, value: str) -> None:
    if value:
        package[key] = value[:500]


def _listed(root: str, path: str) -> list[str]:
    try:
        return sorted(os.listdir(os.path.join(root, path)))
    except OSError:
        return []


def _read(root: str, path: str, limit_bytes: int = FILE_LIMIT_BYTES) -> str:
    """A regular file's text; "" for what isn't one (a FIFO would wait for ever)."""
    try:
        fd = os.open(os.path.join(root, path), os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return ""
    with os.fdopen(fd, "rb") as file:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            return ""
        return file.read(limit_bytes).decode("utf-8", "replace")
