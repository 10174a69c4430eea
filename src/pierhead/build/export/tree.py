"""``local`` and ``tar``: the files of the result, without history or configuration.

Both are one tar; for ``local`` the client unpacks it. Several platforms get a directory each
(``linux_amd64/``). Attestations are files beside them: ``provenance.json``,
``sbom.spdx.json``.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from pierhead.build.export.attributes import TreeTarget
from pierhead.build.export.model import Assembled
from pierhead.build.export.progress import Step
from pierhead.build.model import Receiver
from pierhead.oci import tar
from pierhead.oci.tar import Header

if TYPE_CHECKING:
    from pierhead.build.files.service import FileService

FILES: Final = (
    ("https://slsa.dev/provenance/", "provenance.json"),
    ("https://spdx.dev/Document", "sbom.spdx.json"),
)


@dataclass(slots=True)
class TreeOutput:
    """Exports of plain files."""

    files: FileService

    async def run(
        self,
        images: Sequence[Assembled],
        target: TreeTarget,
        statements: Sequence[Sequence[dict[str, Any]]],
        receiver: Receiver,
        step: Step,
        *,
        provenance_name: str = "",
    ) -> None:
        """Send all images' files; ``provenance_name`` instead of ``provenance.json``."""
        split = target.split if target.split is not None else len(images) > 1
        sent = 0
        what = "copying files"
        began = step.progress(what)
        for image, attested in zip(images, statements, strict=True):
            platform = str(image.platform).replace("/", "_")
            prefix = platform if split else ""
            top = image.chains[-1] if image.chains else None
            if prefix:
                header = Header(prefix.encode(), tar.DIRECTORY, 0o755)
                await receiver.write(tar.build_header(header))
            chunks = self.files.tar(top, epoch_s=target.epoch_s, prefix=prefix, end=False)
            async for chunk in chunks:
                await receiver.write(chunk)
                sent += len(chunk)
                step.progress(what, current=sent, started_ns=began)
            for statement in attested:
                await receiver.write(_file(statement, prefix, target.prefix, provenance_name))
        await receiver.write(bytes(2 * tar.BLOCK))
        await receiver.close()
        step.progress(what, current=sent, total=sent, started_ns=began, done=True)


def _file(statement: dict[str, Any], directory: str, prefix: str, provenance: str) -> bytes:
    """A statement as a file; its subjects are files, which nobody has digested."""
    name = next(name for kind, name in FILES if statement["predicateType"].startswith(kind))
    if provenance and name == "provenance.json":
        name = provenance
    path = "/".join(filter(None, [directory, prefix + name]))
    data = json.dumps(
        {
            "_type": statement["_type"],
            "predicateType": statement["predicateType"],
            "subject": [],
            "predicate": statement["predicate"],
        },
        indent=2,
    ).encode()
    header = Header(path.encode(), tar.REGULAR, 0o644, size=len(data))
    return tar.build_header(header) + data + bytes(tar.padding(len(data)))
