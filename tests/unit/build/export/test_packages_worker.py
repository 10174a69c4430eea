from __future__ import annotations

import json
import os
import sqlite3
import struct
from pathlib import Path

from pierhead.build.export.packages_worker import scan

DPKG = """Package: bash
Status: install ok installed
Maintainer: Matthias <m@example.org>
Architecture: amd64
Source: bash-src (5.1)
Version: 5.2
Description: shell
 with: more text

Package: gone
Status: deinstall ok config-files
Version: 1
"""
APK = """C:Q1
P:musl
V:1.2-r0
A:x86_64
L:MIT
o:musl

"""


def put(root: Path, name: str, text: str) -> None:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def test_it_reads_every_database(tmp_path: Path) -> None:
    put(tmp_path, "etc/os-release", 'ID=debian\nVERSION_ID="12"\n')
    put(tmp_path, "var/lib/dpkg/status", DPKG)
    put(tmp_path, "var/lib/dpkg/status.d/base", "Package: base-files\nVersion: 12\n")
    put(tmp_path, "lib/apk/db/installed", APK)
    site = "usr/lib/python3/dist-packages"
    put(tmp_path, f"{site}/flask-3.dist-info/METADATA", "Name: Flask\nVersion: 3.0\n\nLong text")
    put(tmp_path, f"{site}/old.egg-info", "Name: old\nVersion: 0.1\nLicense: MIT\n")
    put(tmp_path, "app/node_modules/x/package.json", '{"name": "x", "version": "1.0.0"}')
    put(tmp_path, "app/node_modules/@s/y/package.json", '{"name": "@s/y", "version": "2.0.0"}')
    put(tmp_path, "app/package.json", '{"name": "app", "version": "9"}')
    found = scan(str(tmp_path))
    assert found["distribution"] == {"ID": "debian", "VERSION_ID": "12"}
    assert [(each["type"], each["name"], each["version"]) for each in found["packages"]] == [
        ("apk", "musl", "1.2-r0"),
        ("deb", "base-files", "12"),
        ("deb", "bash", "5.2"),
        ("npm", "@s/y", "2.0.0"),
        ("npm", "x", "1.0.0"),
        ("pypi", "Flask", "3.0"),
        ("pypi", "old", "0.1"),
    ]
    bash = found["packages"][2]
    assert bash["arch"] == "amd64" and bash["source"] == "bash-src@5.1"


def test_rpm_s_sqlite_database(tmp_path: Path) -> None:
    texts = {1000: b"zlib", 1001: b"1.3", 1002: b"2.fc40", 1022: b"x86_64"}
    data, entries = b"", b""
    for tag, text in texts.items():
        entries += struct.pack(">IIiI", tag, 6, len(data), 1)
        data += text + b"\0"
    blob = struct.pack(">II", len(texts), len(data)) + entries + data
    (tmp_path / "usr/lib/sysimage/rpm").mkdir(parents=True)
    database = sqlite3.connect(tmp_path / "usr/lib/sysimage/rpm/rpmdb.sqlite")
    database.execute("CREATE TABLE Packages (hnum INTEGER PRIMARY KEY, blob BLOB NOT NULL)")
    database.execute("INSERT INTO Packages VALUES (1, ?)", (blob,))
    database.execute("INSERT INTO Packages VALUES (2, ?)", (b"\0",))
    database.commit()
    database.close()
    [package] = scan(str(tmp_path))["packages"]
    assert (package["name"], package["version"]) == ("zlib", "1.3-2.fc40")
    assert package["arch"] == "x86_64"


def test_hostile_trees_are_passed_over(tmp_path: Path) -> None:
    (tmp_path / "var/lib/dpkg").mkdir(parents=True)
    os.mkfifo(tmp_path / "var/lib/dpkg/status")
    put(tmp_path, "node_modules/bad/package.json", "[" * 100_000)
    put(tmp_path, "node_modules/list/package.json", json.dumps([1]))
    put(tmp_path, "node_modules/odd/package.json", json.dumps({"name": "a b", "version": "1"}))
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib/loop").symlink_to(tmp_path)
    put(tmp_path, "var/lib/rpm/rpmdb.sqlite", "not a database")
    assert scan(str(tmp_path))["packages"] == []
