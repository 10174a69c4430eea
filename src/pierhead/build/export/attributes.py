"""What an ``--output``'s attributes mean (BuildKit's exporter options). No IO.

Attributes that nobody knows are refused by name, so that a typing error doesn't make another
image than was meant.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from pierhead.errors import InvalidParameter, NotImplementedYet
from pierhead.oci import reference
from pierhead.oci.platform import Platform, parse
from pierhead.oci.reference import Reference

IMAGE_TYPES: Final = frozenset({"image", "registry", "moby"})
ARCHIVE_TYPES: Final = frozenset({"oci", "docker"})
TREE_TYPES: Final = frozenset({"local", "tar"})
NOTHING: Final = "cacheonly"

_COMMON: Final = frozenset({"dest", "source-date-epoch", "compatibility-version"})
_IMAGE: Final = frozenset({
    "name", "oci-mediatypes", "oci-artifact", "compression", "compression-level",
    "force-compression", "rewrite-timestamp", "attestation-inline", "buildinfo",
    "buildinfo-attrs", "prefer-nondist-layers", "name-canonical", "dangling-name-prefix",
    "danging-name-empty-only", "push", "push-by-digest", "registry.insecure", "unpack", "store",
})  # fmt: skip
_ARCHIVE: Final = frozenset({"tar"})
_TREE: Final = frozenset({"attestation-prefix", "platform-split", "mode"})

_ANNOTATION: Final = re.compile(
    r"annotation(?:-([a-z-]+))?(?:\[([A-Za-z0-9_/-]+)\])?\.(\S+)", re.ASCII
)
_ANNOTATED: Final = frozenset({"index", "index-descriptor", "manifest", "manifest-descriptor"})
_LEVELS: Final = {"gzip": range(0, 10), "zstd": range(0, 23), "uncompressed": range(0, 1)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Annotation:
    """One: on which document, for which platform (``None``: all), key and value."""

    where: str  # index, index-descriptor, manifest, manifest-descriptor
    platform: Platform | None
    key: str
    value: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Packing:
    """How images are written down, for registries and archives."""

    compression: str = "gzip"  # gzip, zstd, uncompressed
    level: int | None = None
    force: bool = False
    """Compress layers of the base anew, too."""
    oci: bool | None = None
    """OCI media types; ``None``: where they are needed."""
    artifact: bool = False
    """Attestations as OCI artifacts, with ``subject``."""
    annotations: tuple[Annotation, ...] = ()
    epoch_s: int | None = None
    rewrite: bool = False
    """Times in the build's layers are to be at most ``epoch_s``: see ``exporter``."""
    asked: bool = False
    """Whether any of it was said: an image that needn't leave isn't packed otherwise."""

    @property
    def needs_oci(self) -> bool:
        return self.compression == "zstd" or bool(self.annotations)

    def annotated(self, where: str, platform: Platform | None = None) -> dict[str, str] | None:
        """The annotations for one document; ``None`` for none."""
        found = {
            each.key: each.value
            for each in self.annotations
            if each.where == where
            and (each.platform is None or platform is None or each.platform == platform)
        }
        return found or None


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageTarget:
    """``image`` and ``registry``."""

    names: tuple[Reference, ...] = ()
    push: bool = False
    by_digest: bool = False
    canonical: bool = False
    """``name@digest`` as a name beside each."""
    store: bool = True
    """False: forget it when it is pushed."""
    inline_attestations: bool = False
    packing: Packing = field(default_factory=Packing)


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchiveTarget:
    """``oci`` and ``docker``."""

    docker: bool
    names: tuple[Reference, ...] = ()
    packing: Packing = field(default_factory=Packing)


@dataclass(frozen=True, slots=True, kw_only=True)
class TreeTarget:
    """``local`` and ``tar``."""

    split: bool | None = None
    """A directory for each platform; ``None``: if there are several."""
    prefix: str = ""
    """What attestations' file names begin with."""
    epoch_s: int | None = None


Target = ImageTarget | ArchiveTarget | TreeTarget | None


def target(
    type_: str, given: Mapping[str, str], *, tags: tuple[str, ...], annotations: Mapping[str, str]
) -> Target:
    """Read one output. ``tags`` and ``annotations`` are the build's own; ``None``: nothing to do.

    Raises ``InvalidParameter`` for what is unknown or wrong, ``NotImplementedYet`` for what
    is known and not done.
    """
    if type_ == NOTHING:
        return None
    if type_ in TREE_TYPES:
        _refuse(type_, given, _COMMON | _TREE)
        if given.get("mode", "copy") not in ("", "copy"):
            raise NotImplementedYet(f"mode={given['mode']} isn't supported: empty the directory")
        return TreeTarget(
            split=_flag(given, "platform-split", None),
            prefix=given.get("attestation-prefix", ""),
            epoch_s=_epoch(given),
        )
    if type_ not in IMAGE_TYPES and type_ not in ARCHIVE_TYPES:
        raise InvalidParameter(f'exporter "{type_}" could not be found')
    allowed = _COMMON | _IMAGE | (_ARCHIVE if type_ in ARCHIVE_TYPES else frozenset())
    _refuse(type_, given, allowed)
    packing = _packing(given, annotations)
    names = _names(given.get("name"), tags)
    if type_ in ARCHIVE_TYPES:
        if type_ == "docker" and packing.compression == "zstd":
            raise InvalidParameter("docker archives can't hold zstd layers: use type=oci")
        return ArchiveTarget(docker=type_ == "docker", names=names, packing=packing)
    push = type_ == "registry" or bool(_flag(given, "push", False))
    if _flag(given, "registry.insecure", False):
        raise NotImplementedYet(
            "registry.insecure isn't supported: list the registry in pierd's insecure-registries"
        )
    by_digest = bool(_flag(given, "push-by-digest", False))
    if push and not names:
        raise InvalidParameter("tag is needed when pushing to registry")
    if prefix := given.get("dangling-name-prefix"):
        raise NotImplementedYet(f"dangling-name-prefix={prefix} isn't supported: give a name")
    return ImageTarget(
        names=names,
        push=push,
        by_digest=by_digest,
        canonical=bool(_flag(given, "name-canonical", False)),
        store=bool(_flag(given, "store", True)) or not push,
        inline_attestations=bool(_flag(given, "attestation-inline", False)),
        packing=replace(packing, asked=True) if by_digest else packing,
    )


def _refuse(type_: str, given: Mapping[str, str], allowed: frozenset[str]) -> None:
    for key in given:
        if key not in allowed and not key.startswith("annotation"):
            raise InvalidParameter(f'unknown attribute "{key}" of the output type={type_}')


def _names(text: str | None, tags: tuple[str, ...]) -> tuple[Reference, ...]:
    """``name`` has several, with commas; without it the build's tags."""
    given = [part.strip() for part in text.split(",")] if text else list(tags)
    found = []
    for name in given:
        if not name:
            continue
        ref = reference.parse(name)
        if ref.digest is not None:
            raise InvalidParameter(f"invalid tag {name!r}: an image can't be given a digest")
        found.append(ref.with_default_tag())
    return tuple(dict.fromkeys(found))


def _packing(given: Mapping[str, str], annotations: Mapping[str, str]) -> Packing:
    compression = given.get("compression", "gzip").lower() or "gzip"
    if compression in ("none", "uncompressed"):
        compression = "uncompressed"
    if compression in ("estargz", "nydus"):
        raise NotImplementedYet(f"compression={compression} isn't supported: use gzip or zstd")
    if compression not in _LEVELS:
        raise InvalidParameter(f"unsupported layer compression type {compression!r}")
    level = None
    if text := given.get("compression-level"):
        if not text.isdecimal() or int(text) not in _LEVELS[compression]:
            most = _LEVELS[compression][-1]
            raise InvalidParameter(
                f"invalid compression-level {text!r}: {compression} has 0 to {most}"
            )
        level = int(text)
    notes = [
        *(_annotation(key, value) for key, value in annotations.items()),
        *(_annotation(key, value) for key, value in given.items() if key.startswith("annotation")),
    ]
    oci = _flag(given, "oci-mediatypes", None)
    if oci is False and (notes or compression == "zstd"):
        what = "annotations" if notes else "zstd layers"
        raise InvalidParameter(f'cannot export {what} with "oci-mediatypes=false"')
    asked = bool(notes) or any(
        key in given for key in ("compression", "compression-level", "force-compression")
    )
    return Packing(
        compression=compression,
        level=level,
        force=bool(_flag(given, "force-compression", False)),
        oci=oci,
        artifact=bool(_flag(given, "oci-artifact", False)),
        annotations=tuple(notes),
        epoch_s=_epoch(given),
        rewrite=bool(_flag(given, "rewrite-timestamp", False)),
        asked=asked or oci is True,
    )


def _annotation(key: str, value: str) -> Annotation:
    """``annotation-index.KEY``, ``annotation[linux/amd64].KEY``, or ``index:KEY`` (buildx)."""
    match = _ANNOTATION.fullmatch(key)
    if match is None:
        where, colon, name = key.rpartition(":")
        if not colon:
            return Annotation(where="manifest", platform=None, key=key, value=value)
        match = _ANNOTATION.fullmatch(f"annotation-{where}.{name}")
        if match is None:
            raise InvalidParameter(f"invalid annotation {key!r}")
    where, platform, name = match[1] or "manifest", match[2], match[3]
    if where not in _ANNOTATED:
        raise InvalidParameter(f"unrecognized annotation type {where}")
    return Annotation(
        where=where,
        platform=parse(platform, "amd64") if platform else None,
        key=name,
        value=value,
    )


def _flag(given: Mapping[str, str], key: str, default: bool | None) -> bool | None:
    text = given.get(key)
    if text is None:
        return default
    if text == "":
        return True
    if text.lower() in ("1", "t", "true"):
        return True
    if text.lower() in ("0", "f", "false"):
        return False
    raise InvalidParameter(f"non-bool value {text!r} specified for {key}")


def _epoch(given: Mapping[str, str]) -> int | None:
    text = given.get("source-date-epoch")
    if not text:
        return None
    if not text.isdecimal():
        raise InvalidParameter(f"invalid SOURCE_DATE_EPOCH: {text!r}")
    return int(text)
