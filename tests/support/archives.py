"""Small images as archives that ``docker load`` takes: no daemon, no root needed."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Sequence
from hashlib import sha256


def layer(files: dict[str, bytes], links: dict[str, str] | None = None) -> bytes:
    """A plain tar of files and symbolic links, such as a layer."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for name, data in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            tar.addfile(entry, io.BytesIO(data))
        for name, target in (links or {}).items():
            entry = tarfile.TarInfo(name)
            entry.type, entry.linkname = tarfile.SYMTYPE, target
            tar.addfile(entry)
    return out.getvalue()


def docker_archive(
    name: str, layers: Sequence[bytes], *, architecture: str = "amd64", label: str = ""
) -> bytes:
    """As ``docker save`` of old wrote it: plain layers, nothing that a registry knows."""
    config = json.dumps(
        {
            "architecture": architecture,
            "os": "linux",
            "created": "2024-01-02T03:04:05Z",
            "config": {"Cmd": ["/bin/true"], "Labels": {"test": label}},
            "rootfs": {
                "type": "layers",
                "diff_ids": [f"sha256:{sha256(data).hexdigest()}" for data in layers],
            },
            "history": [{"created": "2024-01-02T03:04:05Z", "created_by": "test"} for _ in layers],
        }
    ).encode()
    files = {f"{sha256(config).hexdigest()}.json": config}
    paths = []
    for number, data in enumerate(layers):
        paths.append(f"{number}/layer.tar")
        files[paths[-1]] = data
    entry = {"Config": next(iter(files)), "RepoTags": [name], "Layers": paths}
    files["manifest.json"] = json.dumps([entry]).encode()
    return layer(files)
