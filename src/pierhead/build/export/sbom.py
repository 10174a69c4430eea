"""An SBOM: which packages an image has, as SPDX 2.3. The scan is ``packages_worker``'s."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from pierhead import __version__
from pierhead.build.export.model import Assembled, Solved
from pierhead.engine.images.clock import format_rfc3339
from pierhead.linux import worker
from pierhead.oci.digest import hex_of, sha256

STATEMENT: Final = "https://in-toto.io/Statement/v1"
PREDICATE: Final = "https://spdx.dev/Document"
_PACKAGES: Final = {"deb": "pkg:deb", "apk": "pkg:apk", "rpm": "pkg:rpm", "pypi": "pkg:pypi",
                    "npm": "pkg:npm", "golang": "pkg:golang"}  # fmt: skip


async def statement(root: Path, image: Assembled, solved: Solved, *, now_ns: int) -> dict[str, Any]:
    """Scan the tree mounted at ``root``; the in-toto statement without subjects."""
    found = await worker.call("build.export.packages_worker:scan", {}, jail=root)
    epoch = solved.epoch_s
    created_ns = epoch * 1_000_000_000 if epoch is not None else now_ns
    name = solved.options.tags[0] if solved.options.tags else "image"
    seed = image.chains[-1] if image.chains else "scratch"
    return {
        "_type": STATEMENT,
        "predicateType": PREDICATE,
        "predicate": document(
            found["packages"], found["distribution"], name=name, seed=seed, created_ns=created_ns
        ),
    }


def document(
    packages: Sequence[dict[str, Any]],
    distribution: dict[str, str],
    *,
    name: str,
    seed: str,
    created_ns: int,
) -> dict[str, Any]:
    """The SPDX document; the same for the same image and time.

    ``packages`` have ``type``, ``name``, ``version`` and what else is known: ``license``,
    ``arch``, ``source``, ``supplier``, ``path``. ``distribution`` is os-release's.
    """
    listed: list[dict[str, Any]] = []
    relations: list[dict[str, str]] = []
    for package in packages:
        entry = _package(package, distribution)
        listed.append(entry)
        relations.append(
            {
                "spdxElementId": "SPDXRef-DocumentRoot-Image",
                "relationshipType": "CONTAINS",
                "relatedSpdxElement": entry["SPDXID"],
            }
        )
    root = {
        "name": name,
        "SPDXID": "SPDXRef-DocumentRoot-Image",
        "downloadLocation": "NOASSERTION",
        "filesAnalyzed": False,
        "licenseConcluded": "NOASSERTION",
        "licenseDeclared": "NOASSERTION",
        "copyrightText": "NOASSERTION",
        "primaryPackagePurpose": "CONTAINER",
    }
    return {
        "spdxVersion": "SPDX-2.3",
        "dataLicense": "CC0-1.0",
        "SPDXID": "SPDXRef-DOCUMENT",
        "name": name,
        "documentNamespace": f"https://pierhead.invalid/sbom/{quote(name, safe='')}-"
        f"{hex_of(seed)[:32]}",
        "creationInfo": {
            "created": _seconds(created_ns),
            "creators": ["Organization: Pierhead", f"Tool: pierhead-{__version__}"],
        },
        "packages": [root, *listed],
        "relationships": [
            {
                "spdxElementId": "SPDXRef-DOCUMENT",
                "relationshipType": "DESCRIBES",
                "relatedSpdxElement": "SPDXRef-DocumentRoot-Image",
            },
            *relations,
        ],
    }


def _seconds(time_ns: int) -> str:
    """SPDX has no fractions of seconds."""
    return format_rfc3339(time_ns // 1_000_000_000 * 1_000_000_000)


def _package(package: dict[str, Any], distribution: dict[str, str]) -> dict[str, Any]:
    kind, name, version = package["type"], package["name"], package["version"]
    seed = "\0".join([kind, name, version, package.get("arch", ""), package.get("path", "")])
    supplier = package.get("supplier", "")
    entry: dict[str, Any] = {
        "name": name,
        "SPDXID": f"SPDXRef-Package-{kind}-{hex_of(sha256(seed.encode()))[:16]}",
        "versionInfo": version,
        "supplier": f"Person: {supplier}" if supplier else "NOASSERTION",
        "downloadLocation": "NOASSERTION",
        "filesAnalyzed": False,
        "licenseConcluded": "NOASSERTION",
        "licenseDeclared": "NOASSERTION",
        "copyrightText": "NOASSERTION",
        "externalRefs": [
            {
                "referenceCategory": "PACKAGE-MANAGER",
                "referenceType": "purl",
                "referenceLocator": purl(package, distribution),
            }
        ],
    }
    notes = [
        text
        for text in (
            f"acquired package info from: {package['path']}" if package.get("path") else "",
            f"license as declared: {package['license']}" if package.get("license") else "",
        )
        if text
    ]
    if notes:
        entry["sourceInfo"] = "; ".join(notes)
    return entry


def purl(package: dict[str, Any], distribution: dict[str, str]) -> str:
    """The package URL (package-url specification, types deb, apk, rpm, pypi, npm, golang)."""
    kind, name = package["type"], package["name"]
    namespace = distribution.get("ID", "") if kind in ("deb", "apk", "rpm") else ""
    if kind == "npm" and name.startswith("@"):
        namespace, _, name = name.partition("/")
    if kind == "golang" and "/" in name:
        namespace, _, name = name.rpartition("/")
    if kind == "pypi":
        name = name.lower().replace("_", "-")
    parts = [_PACKAGES[kind]]
    if namespace:
        parts.append("/".join(quote(part, safe="") for part in namespace.split("/")))
    parts.append(quote(name, safe=""))
    text = "/".join(parts)
    if package["version"]:
        text += f"@{quote(package['version'], safe=':~')}"
    qualifiers = []
    if package.get("arch"):
        qualifiers.append(f"arch={quote(package['arch'], safe='')}")
    if namespace and kind in ("deb", "apk", "rpm") and distribution.get("VERSION_ID"):
        distro = f"{distribution['ID']}-{distribution['VERSION_ID']}"
        qualifiers.append(f"distro={quote(distro, safe='')}")
    if package.get("source"):
        qualifiers.append(f"upstream={quote(package['source'], safe='')}")
    return text + (f"?{'&'.join(qualifiers)}" if qualifiers else "")
