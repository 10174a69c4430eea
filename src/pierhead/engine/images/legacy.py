"""Archives of Docker before 1.10: ``repositories`` and a directory per layer.

Each layer has a ``json`` (the v1 image of that layer, with its ``parent``) and a
``layer.tar``. A config in today's form is put together from them (Docker image spec v1,
"Combined Image JSON + Filesystem Changeset Format").
"""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from typing import Any, Final, Protocol

from pierhead.errors import InvalidParameter
from pierhead.oci import manifest, reference
from pierhead.oci.digest import DiffId
from pierhead.oci.reference import Reference

_LAYERS_LIMIT: Final = 256
_DROPPED: Final = ("id", "parent", "parent_id", "layer_id", "throwaway", "Size")


class Files(Protocol):
    def read(self, name: str) -> bytes: ...


MakeConfig = Callable[[list[DiffId]], bytes]


def images(archive: Files) -> list[tuple[list[str], MakeConfig, list[Reference]]]:
    """(layer files, what makes the config of their diff ids, names) of every named image."""
    repositories = manifest.decode_object(archive.read("repositories"), "repositories")
    by_top: dict[str, list[Reference]] = {}
    for repo, tags in repositories.items():
        if not isinstance(tags, dict):
            raise InvalidParameter("invalid repositories: want names with tags")
        for tag, top in tags.items():
            if not isinstance(top, str):
                raise InvalidParameter("invalid repositories: want ids of layers")
            by_top.setdefault(top, []).append(reference.parse(repo).with_tag(tag))
    return [(*_image(archive, top), names) for top, names in by_top.items()]


def _image(archive: Files, top: str) -> tuple[list[str], MakeConfig]:
    chain: list[dict[str, Any]] = []
    names: list[str] = []
    current: Any = top
    while isinstance(current, str) and current:
        if len(chain) >= _LAYERS_LIMIT:
            raise InvalidParameter("invalid archive: too many layers")
        v1 = manifest.decode_object(archive.read(f"{current}/json"), f"{current}/json")
        chain.insert(0, v1)
        names.insert(0, f"{current}/layer.tar")
        current = v1.get("parent")
    return names, partial(_config, chain)


def _config(chain: list[dict[str, Any]], diff_ids: list[DiffId]) -> bytes:
    config = {key: value for key, value in chain[-1].items() if key not in _DROPPED}
    config["rootfs"] = {"type": "layers", "diff_ids": diff_ids}
    config["history"] = [
        {
            "created": v1.get("created", ""),
            "created_by": " ".join((v1.get("container_config") or {}).get("Cmd") or []),
        }
        for v1 in chain
    ]
    return json.dumps(config, sort_keys=True, separators=(",", ":")).encode()
