"""Images to pull, of every kind of manifest, and a pull whose messages can be looked at."""

from __future__ import annotations

import gzip
import hashlib
import http.client
import json
import os
import socket
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

from support.http import Api
from support.layers import item, layer_tar
from support.lying import LyingRegistry, digest_of

OCI_INDEX = "application/vnd.oci.image.index.v1+json"
OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_CONFIG = "application/vnd.oci.image.config.v1+json"
OCI_LAYER = "application/vnd.oci.image.layer.v1.tar"
DOCKER_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_CONFIG = "application/vnd.docker.container.image.v1+json"
DOCKER_LAYER = "application/vnd.docker.image.rootfs.diff.tar.gzip"


def noise(size: int, seed: int) -> bytes:
    """Bytes that don't compress, the same for the same seed."""
    found = bytearray()
    block = hashlib.sha512(str(seed).encode()).digest()
    while len(found) < size:
        block = hashlib.sha512(block).digest()
        found += block * 1
    return bytes(found[:size])


def tar_of(name: str, size: int = 1000) -> bytes:
    """A layer with one file of ``size`` incompressible bytes, all its own."""
    return layer_tar(item(name, data=noise(size, len(name) * 1000 + sum(name.encode()))))


@dataclass
class Blob:
    """A layer as it is published."""

    tar: bytes
    data: bytes
    media_type: str

    @property
    def digest(self) -> str:
        return digest_of(self.data)

    @property
    def diff_id(self) -> str:
        return digest_of(self.tar)

    @property
    def descriptor(self) -> dict[str, Any]:
        return {"mediaType": self.media_type, "digest": self.digest, "size": len(self.data)}


def layer(tar: bytes, compression: str = "gzip", *, oci: bool = True) -> Blob:
    if compression == "zstd":
        import zstandard

        return Blob(tar, zstandard.compress(tar), f"{OCI_LAYER}+zstd")
    if compression == "none":
        return Blob(tar, tar, OCI_LAYER if oci else DOCKER_LAYER.removesuffix(".gzip"))
    data = gzip.compress(tar, 1, mtime=0)
    return Blob(tar, data, f"{OCI_LAYER}+gzip" if oci else DOCKER_LAYER)


def publish(
    registry: LyingRegistry,
    repo: str,
    tag: str,
    layers: Sequence[Blob],
    *,
    oci: bool = True,
    platform: str = "linux/amd64",
    config: dict[str, Any] | None = None,
    diff_ids: Sequence[str] | None = None,
    **fields: Any,
) -> dict[str, Any]:
    """Put an image there; its descriptor with platform. ``fields`` go over the manifest's."""
    parts = [*platform.split("/"), ""]
    document: dict[str, Any] = {
        "architecture": parts[1],
        "os": parts[0],
        "config": {"Cmd": ["true"], "Labels": {"tag": tag}},
        "rootfs": {
            "type": "layers",
            "diff_ids": list(diff_ids if diff_ids is not None else [b.diff_id for b in layers]),
        },
        **(config or {}),
    }
    if parts[2]:
        document["variant"] = parts[2]
    data = json.dumps(document).encode()
    kind = OCI_MANIFEST if oci else DOCKER_MANIFEST
    manifest: dict[str, Any] = {
        "schemaVersion": 2,
        "mediaType": kind,
        "config": {
            "mediaType": OCI_CONFIG if oci else DOCKER_CONFIG,
            "digest": registry.add_blob(data),
            "size": len(data),
        },
        "layers": [blob.descriptor for blob in layers],
        **fields,
    }
    for blob in layers:
        registry.add_blob(blob.data)
    raw = json.dumps(manifest).encode()
    digest = registry.add_manifest(repo, tag, raw, kind)
    described: dict[str, Any] = {"mediaType": kind, "digest": digest, "size": len(raw)}
    described["platform"] = {"os": parts[0], "architecture": parts[1]}
    if parts[2]:
        described["platform"]["variant"] = parts[2]
    return described


def publish_index(
    registry: LyingRegistry,
    repo: str,
    tag: str,
    manifests: Sequence[dict[str, Any]],
    *,
    oci: bool = True,
) -> dict[str, Any]:
    kind = OCI_INDEX if oci else DOCKER_LIST
    raw = json.dumps({"schemaVersion": 2, "mediaType": kind, "manifests": list(manifests)}).encode()
    digest = registry.add_manifest(repo, tag, raw, kind)
    return {"mediaType": kind, "digest": digest, "size": len(raw)}


@dataclass
class Pulled:
    """What a pull answered."""

    status: int
    messages: list[dict[str, Any]] = field(default_factory=list)
    broken: bool = False

    @property
    def error(self) -> str:
        """The error, wherever it came; empty if there was none."""
        if self.status != 200:
            return str(self.messages[0].get("message", ""))
        for message in self.messages:
            if "error" in message:
                assert message["errorDetail"]["message"] == message["error"]
                return str(message["error"])
        return ""

    @property
    def texts(self) -> list[str]:
        """Messages without bars: ``id: status`` or ``status``."""
        return [
            f"{message['id']}: {message['status']}" if "id" in message else message["status"]
            for message in self.messages
            if "status" in message and not message.get("progressDetail")
        ]


class Pull(threading.Thread):
    """A pull on a connection of its own. ``join`` it, or ``cut`` it."""

    def __init__(self, api: Api, image: str, tag: str = "", **query: str) -> None:
        super().__init__(daemon=True)
        self._path = "/v1.41/images/create?" + urlencode({"fromImage": image, "tag": tag, **query})
        self._sock = socket.socket(socket.AF_UNIX)
        self._sock.settimeout(300)
        self._sock.connect(api.path)
        self._seen = threading.Condition()
        self.result = Pulled(0)
        self.start()

    def run(self) -> None:
        connection = http.client.HTTPConnection("x")
        connection.sock = self._sock
        try:
            connection.request("POST", self._path, headers={"Content-Length": "0"})
            answer = connection.getresponse()
            self.result.status = answer.status
            buffer = b""
            while chunk := answer.read1(65536):
                buffer += chunk
                *lines, buffer = buffer.split(b"\n")
                with self._seen:
                    self.result.messages += [json.loads(line) for line in lines if line.strip()]
                    self._seen.notify_all()
            if buffer.strip():
                self.result.messages.append(json.loads(buffer))
        except (OSError, http.client.HTTPException, ValueError):
            self.result.broken = True
        finally:
            connection.close()
            with self._seen:
                self._seen.notify_all()

    def wait_for(self, text: str, timeout_s: float = 120) -> None:
        """Wait until a message's status contains ``text``."""

        def shown() -> bool:
            return any(text in m.get("status", "") for m in self.result.messages)

        with self._seen:
            done = self._seen.wait_for(lambda: shown() or not self.is_alive(), timeout_s)
        assert done and shown(), self.result

    def cut(self) -> None:
        """The client goes away."""
        self._sock.shutdown(socket.SHUT_RDWR)
        self.join(60)

    def end(self) -> Pulled:
        self.join(300)
        assert not self.is_alive()
        return self.result


def pull(api: Api, image: str, tag: str = "", **query: str) -> Pulled:
    return Pull(api, image, tag, **query).end()


def descendants_of(pid: int) -> list[int]:
    """Processes below ``pid``."""
    parents: dict[int, int] = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                with open(f"/proc/{name}/stat") as file:
                    parents[int(name)] = int(file.read().rsplit(")", 1)[1].split()[1])
            except (OSError, IndexError):
                continue
    found = [pid]
    for candidate in found:
        found += [child for child, parent in parents.items() if parent == candidate]
    return found[1:]
