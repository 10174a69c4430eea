"""The image that registries and stores are measured with: 370 MB, 13,000 files, three layers.

Made of this machine's own ``/usr``, as an OCI layout that skopeo can copy to a registry.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import stat
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path

FILES = 13_000
SIZE_BYTES = 370_000_000
SHARES = (0.55, 0.30, 0.15)
"""How much of the whole each layer has, lowest first."""
_PLACES = ("lib64", "bin", "sbin", "lib/x86_64-linux-gnu", "lib/python3", "lib", "share", "include")
_AVERAGE_LIMIT = 12 << 20


def _candidates() -> Iterator[tuple[Path, os.stat_result]]:
    seen: set[Path] = set()
    for place in _PLACES:
        for folder, folders, names in os.walk(Path("/usr") / place):
            folders.sort()
            if Path(folder) in seen:
                folders.clear()
                continue
            seen.add(Path(folder))
            for name in [*folders, *sorted(names)]:
                path = Path(folder) / name
                status = path.lstat()
                kind = stat.S_IFMT(status.st_mode)
                if kind in (stat.S_IFREG, stat.S_IFDIR, stat.S_IFLNK):
                    yield path, status


def _chosen() -> list[tuple[Path, int]]:
    """Small files for the number, large ones for the size."""
    small: list[tuple[Path, int]] = []
    large: list[tuple[Path, int]] = []
    for path, status in _candidates():
        size = status.st_size if stat.S_ISREG(status.st_mode) else 0
        if size < 64 << 10:
            small.append((path, size))
        elif size < _AVERAGE_LIMIT:
            large.append((path, size))
    budget = SIZE_BYTES
    picked = []
    for path, size in large:
        if budget - size < 100_000_000:
            break
        budget -= size
        picked.append((path, size))
    for path, size in small[: FILES - len(picked)]:
        picked.append((path, size))
    return sorted(picked)


def _whole_seconds(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    """As docker and buildkit write layers: no PAX header for a fraction of a second."""
    entry.mtime = int(entry.mtime)
    return entry


def _pack(paths: list[Path], target: Path) -> tuple[str, str, int]:
    """Write ``target`` (gzip as docker pushes it); its diff id, digest and size."""
    plain = target.with_suffix(".tar")
    made: set[str] = set()
    with tarfile.open(plain, "w", format=tarfile.PAX_FORMAT) as tar:
        for link in ("bin", "lib", "lib64", "sbin"):  # so that it runs
            entry = tarfile.TarInfo(link)
            entry.type, entry.linkname = tarfile.SYMTYPE, f"usr/{link}"
            tar.addfile(entry)
        for path in paths:
            for parent in reversed(path.parents):
                name = str(parent)[1:]
                if name and name not in made:
                    made.add(name)
                    entry = tarfile.TarInfo(name)
                    entry.type, entry.mode = tarfile.DIRTYPE, 0o755
                    tar.addfile(entry)
            if str(path)[1:] not in made:
                made.add(str(path)[1:])
                tar.add(path, str(path)[1:], recursive=False, filter=_whole_seconds)
    with open(plain, "rb") as file:
        diff_id = hashlib.file_digest(file, "sha256").hexdigest()
    with open(target, "wb") as out:
        subprocess.run(["gzip", "-6nc", str(plain)], stdout=out, check=True)
    plain.unlink()
    with open(target, "rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return diff_id, digest, target.stat().st_size


def make(directory: Path) -> Path:
    """The OCI layout in ``directory``, made if it isn't there; its tag is ``latest``."""
    if (directory / "index.json").exists():
        return directory
    shutil.rmtree(directory, ignore_errors=True)
    blobs = directory / "blobs" / "sha256"
    blobs.mkdir(parents=True)

    def blob(data: bytes, media_type: str) -> dict[str, object]:
        digest = hashlib.sha256(data).hexdigest()
        (blobs / digest).write_bytes(data)
        return {"mediaType": media_type, "digest": f"sha256:{digest}", "size": len(data)}

    chosen = _chosen()
    total = sum(size + 1024 for _, size in chosen)
    layers, diff_ids = [], []
    start = 0
    for number, share in enumerate(SHARES):
        end, weight = start, 0
        while end < len(chosen) and (weight < share * total or number == len(SHARES) - 1):
            weight += chosen[end][1] + 1024
            end += 1
        diff_id, digest, size = _pack([path for path, _ in chosen[start:end]], blobs / "layer")
        (blobs / "layer").rename(blobs / digest)
        diff_ids.append(f"sha256:{diff_id}")
        layers.append(
            {
                "mediaType": "application/vnd.oci.image.layer.v1.tar+gzip",
                "digest": f"sha256:{digest}",
                "size": size,
            }
        )
        start = end
    config = blob(
        json.dumps(
            {
                "architecture": "amd64",
                "os": "linux",
                "config": {"Cmd": ["/usr/bin/true"]},
                "rootfs": {"type": "layers", "diff_ids": diff_ids},
            }
        ).encode(),
        "application/vnd.oci.image.config.v1+json",
    )
    manifest = blob(
        json.dumps(
            {
                "schemaVersion": 2,
                "mediaType": "application/vnd.oci.image.manifest.v1+json",
                "config": config,
                "layers": layers,
            }
        ).encode(),
        "application/vnd.oci.image.manifest.v1+json",
    )
    manifest["annotations"] = {"org.opencontainers.image.ref.name": "latest"}
    (directory / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')
    (directory / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [manifest]}))
    return directory
