"""Names of users in a tree: ``USER app`` before WORKDIR makes directories that are app's."""

from __future__ import annotations

from typing import Final

from pierhead.build.files.service import FileService
from pierhead.errors import InvalidParameter, NotFound
from pierhead.oci.digest import ChainId

_LIMIT_BYTES: Final = 16 << 20


async def of(files: FileService, chain_id: ChainId | None, user: str) -> tuple[int, int]:
    """(uid, gid) of ``user[:group]``, looked up in the tree's /etc/passwd and /etc/group.

    ``InvalidParameter`` if there is no such name.
    """
    name, colon, group = user.partition(":")
    uid, gid = 0, 0
    if name.isdigit():
        uid = gid = int(name)
    elif name:
        found = await _find(files, chain_id, "/etc/passwd", name)
        if found is None:
            raise InvalidParameter(f"invalid user index: no such user {name}")
        uid, gid = int(found[2]), int(found[3])
    if colon and group:
        if group.isdigit():
            gid = int(group)
        else:
            found = await _find(files, chain_id, "/etc/group", group)
            if found is None:
                raise InvalidParameter(f"invalid user index: no such group {group}")
            gid = int(found[2])
    return uid, gid


async def _find(
    files: FileService, chain_id: ChainId | None, path: str, name: str
) -> list[str] | None:
    source = files.chain(chain_id, "base")
    try:
        data = await files.read(source, path, _LIMIT_BYTES)
    except NotFound:
        return None
    finally:
        await files.release(source)
    for line in data.decode("utf-8", "replace").splitlines():
        fields = line.split(":")
        if fields[0] == name and len(fields) >= 4 and fields[2].isdigit():
            if path.endswith("group") or fields[3].isdigit():
                return fields
    return None
