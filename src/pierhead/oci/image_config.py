"""The image config blob: OCI image-spec config.md, plus what Docker adds to it.

Decoding is lenient in Go's way (``null`` is the zero value). A config that has a digest
is never encoded again: whoever needs the bytes keeps those that came.
"""

from __future__ import annotations

import json
from typing import Any

import msgspec

from pierhead.errors import InvalidParameter
from pierhead.oci.digest import DiffId


def _pascal(field: str) -> str:
    return "".join(word.capitalize() for word in field.split("_"))


class HealthcheckConfig(msgspec.Struct, rename=_pascal, kw_only=True, omit_defaults=True):
    """Durations in nanoseconds."""

    test: list[str] | None = None
    interval: int = 0
    timeout: int = 0
    start_period: int = 0
    start_interval: int = 0
    retries: int = 0


class RunConfig(msgspec.Struct, rename=_pascal, kw_only=True, omit_defaults=True):
    """``config`` of an image: how to run it. Field names as in ``engine.config``."""

    hostname: str = ""
    domainname: str = ""
    user: str = ""
    exposed_ports: dict[str, dict[str, Any]] | None = None
    env: list[str] | None = None
    cmd: list[str] | None = None
    healthcheck: HealthcheckConfig | None = None
    args_escaped: bool = False
    image: str = ""
    volumes: dict[str, dict[str, Any]] | None = None
    working_dir: str = ""
    entrypoint: list[str] | None = None
    on_build: list[str] | None = None
    labels: dict[str, str] | None = None
    stop_signal: str = ""
    stop_timeout: int | None = None
    shell: list[str] | None = None


class History(msgspec.Struct, kw_only=True, omit_defaults=True):
    """One step that made the image; ``created`` in RFC 3339."""

    created: str = ""
    author: str = ""
    created_by: str = ""
    comment: str = ""
    empty_layer: bool = False


class RootFs(msgspec.Struct, kw_only=True):
    type: str = "layers"
    diff_ids: list[DiffId] = []


class ImageConfig(msgspec.Struct, kw_only=True, omit_defaults=True):
    """The whole config blob."""

    architecture: str = ""
    variant: str = ""
    os: str = ""
    os_version: str = msgspec.field(default="", name="os.version")
    os_features: list[str] | None = msgspec.field(default=None, name="os.features")
    created: str = ""
    author: str = ""
    comment: str = ""
    container: str = ""
    docker_version: str = ""
    config: RunConfig = msgspec.field(default_factory=RunConfig)
    container_config: RunConfig | None = None
    rootfs: RootFs = msgspec.field(default_factory=RootFs)
    history: list[History] = []

    @classmethod
    def decode(cls, data: bytes) -> ImageConfig:
        """Decode a config blob. Raises ``InvalidParameter`` naming what is wrong in it."""
        try:
            document = json.loads(data)
        except (ValueError, RecursionError) as error:
            raise InvalidParameter(f"invalid image config: not JSON: {error}") from error
        if not isinstance(document, dict):
            raise InvalidParameter("invalid image config: not a JSON object")
        try:
            return msgspec.convert(_without_nulls(document), cls, strict=False)
        except (msgspec.ValidationError, RecursionError) as error:
            raise InvalidParameter(f"invalid image config: {error}") from error

    def encode(self) -> bytes:
        """The canonical bytes of a config we make ourselves (keys sorted, zero values left out)."""
        document = msgspec.to_builtins(self)
        document["architecture"] = self.architecture
        document["os"] = self.os
        document["rootfs"] = {"diff_ids": list(self.rootfs.diff_ids), "type": self.rootfs.type}
        document.setdefault("config", {})
        text = json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        # A Dockerfile's bytes that are no UTF-8 become U+FFFD, as Go's encoder has them.
        return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace").encode()


def _without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nulls(item) for key, item in value.items() if item is not None}
    if isinstance(value, list):
        return [_without_nulls(item) for item in value if item is not None]
    return value
