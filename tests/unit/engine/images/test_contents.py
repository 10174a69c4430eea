"""Which images an archive's tables of contents tell of."""

from __future__ import annotations

import json

import msgspec
import pytest

from pierhead.engine.images import contents
from pierhead.engine.images.intake import blob_name
from pierhead.errors import InvalidParameter
from pierhead.oci import manifest, platform
from pierhead.oci.digest import Digest, hex_of, sha256
from pierhead.oci.manifest import Descriptor, Index, Manifest, PlatformField
from pierhead.oci.platform import Platform

CONFIG = b'{"os":"linux","rootfs":{"type":"layers","diff_ids":[]}}'


class Files:
    """An archive's documents."""

    def __init__(self, files: dict[str, bytes]) -> None:
        self._files = files

    def __contains__(self, name: str) -> bool:
        return name in self._files

    def read(self, name: str) -> bytes:
        if name not in self._files:
            raise InvalidParameter(f"invalid archive: {name} is missing")
        return self._files[name]

    def blob(self, descriptor: Descriptor) -> bytes:
        data = self.read(blob_name(descriptor))
        if sha256(data) != descriptor.digest:
            raise InvalidParameter("has the digest")
        return data


HOST = Platform("linux", "amd64")


def find(files: dict[str, bytes], *wanted: str) -> list[contents.Found]:
    return contents.find(Files(files), HOST, [platform.parse(text, "amd64") for text in wanted])


def found(files: dict[str, bytes], *wanted: str) -> list[tuple[list[str], list[list[str]]]]:
    return [
        ([name.familiar for name in image.names], [leaf.layers for leaf in image.leaves])
        for image in find(files, *wanted)
    ]


def blob(files: dict[str, bytes], data: bytes, media_type: str, **fields: object) -> Descriptor:
    digest = sha256(data)
    files[f"blobs/sha256/{hex_of(digest)}"] = data
    return Descriptor(media_type=media_type, digest=digest, size=len(data), **fields)  # type: ignore[arg-type]


def test_docker_archives() -> None:
    listing = [{"Config": "c.json", "RepoTags": ["a:1", "b/c:2"], "Layers": ["x/layer.tar"]}]
    files = {"c.json": CONFIG, "manifest.json": json.dumps(listing).encode(), "index.json": b"!"}
    assert found(files) == [(["a:1", "b/c:2"], [["x/layer.tar"]])]


@pytest.mark.parametrize(
    "listing",
    [b"", b"{}", b"[1]", b'[{"Config": 1}]', b'[{"Config": "c.json", "RepoTags": "x"}]',
     b'[{"Config": "missing"}]', b'[{"Config": "c.json", "RepoTags": ["a@sha256:1"]}]',
     b'[{"Config": "c.json", "RepoTags": ["a"]}]', b"[]"],
)  # fmt: skip
def test_bad_docker_archives(listing: bytes) -> None:
    with pytest.raises(InvalidParameter):
        found({"c.json": CONFIG, "manifest.json": listing})


def test_nothing_known() -> None:
    with pytest.raises(InvalidParameter, match=r"no manifest.json, index.json or repositories"):
        found({"etc/passwd": b""})


def test_oci_layouts_with_nested_indexes() -> None:
    files: dict[str, bytes] = {}
    layer = blob(files, b"layer", manifest.OCI_LAYER)
    image = Manifest(config=blob(files, CONFIG, manifest.OCI_CONFIG), layers=[layer])
    note = Manifest(config=blob(files, b"{}", "application/vnd.in-toto+json"), layers=[])
    nested = Index(
        manifests=[
            Descriptor(
                media_type=manifest.OCI_MANIFEST,
                digest=Digest("sha256:" + "0" * 64),
                size=1,
                platform=PlatformField(os="linux", architecture="arm64"),
            ),
            blob(
                files,
                manifest.encode(note),
                manifest.OCI_MANIFEST,
                platform=PlatformField(os="unknown", architecture="unknown"),
            ),
            blob(
                files,
                manifest.encode(image),
                manifest.OCI_MANIFEST,
                platform=PlatformField(os="linux", architecture="amd64"),
            ),
        ]
    )
    names = [
        {
            "io.containerd.image.name": "docker.io/library/a:1",
            "org.opencontainers.image.ref.name": "1",
        },
        {"org.opencontainers.image.ref.name": "quay.io/x/y:2"},
        {"org.opencontainers.image.ref.name": "latest"},
        {"org.opencontainers.image.ref.name": "not valid:x y"},
    ]
    top = [
        blob(files, manifest.encode(nested), manifest.OCI_INDEX, annotations=note) for note in names
    ]
    files["index.json"] = manifest.encode(Index(manifests=top))
    assert found(files) == [(["a:1", "quay.io/x/y:2"], [[blob_name(layer)]])]
    (image,) = find(files)
    assert [sha256(raw.data) for raw in image.indexes] == [image.target] == [top[0].digest]
    assert [sha256(raw.data) for raw, _ in image.extras] == [nested.manifests[1].digest]


def image_for(files: dict[str, bytes], architecture: str, media_type: str) -> Descriptor:
    layer = blob(files, b"layer of " + architecture.encode(), media_type)
    config = CONFIG.replace(b"{", b'{"architecture":"%s",' % architecture.encode(), 1)
    image = Manifest(config=blob(files, config, manifest.OCI_CONFIG), layers=[layer])
    return blob(
        files,
        manifest.encode(image),
        manifest.OCI_MANIFEST,
        platform=PlatformField(os="linux", architecture=architecture),
    )


GZIP = "application/vnd.oci.image.layer.v1.tar+gzip"


def named(descriptor: Descriptor, name: str) -> Descriptor:
    annotations = {manifest.ANNOTATION_IMAGE_NAME: name}
    return msgspec.structs.replace(descriptor, annotations=annotations)


def test_all_platforms_or_those_asked_for() -> None:
    files: dict[str, bytes] = {}
    children = [image_for(files, name, GZIP) for name in ("s390x", "amd64")]
    top = blob(files, manifest.encode(Index(manifests=children)), manifest.OCI_INDEX)
    files["index.json"] = manifest.encode(Index(manifests=[named(top, "docker.io/library/a:1")]))
    ((names, leaves),) = found(files)
    assert names == ["a:1"] and len(leaves) == 2
    ((_, one),) = found(files, "linux/s390x")
    assert one == leaves[:1]
    with pytest.raises(InvalidParameter, match="no image for linux/arm64 in it"):
        found(files, "linux/arm64")
    del files[blob_name(children[0])]
    ((_, one),) = found(files)
    assert one == leaves[1:], "what isn't saved along is left out"


def test_a_name_given_to_several_is_for_this_host() -> None:
    for order in (("s390x", "amd64"), ("amd64", "s390x")):
        files: dict[str, bytes] = {}
        top = [named(image_for(files, name, GZIP), "docker.io/library/a:1") for name in order]
        files["index.json"] = manifest.encode(Index(manifests=top))
        for image in find(files):
            (leaf,) = image.leaves
            assert len(image.names) == (b"amd64" in leaf.config)


def test_layouts_that_are_both_keep_their_manifests() -> None:
    files: dict[str, bytes] = {}
    children = [image_for(files, name, GZIP) for name in ("s390x", "amd64")]
    top = blob(files, manifest.encode(Index(manifests=children)), manifest.OCI_INDEX)
    files["index.json"] = manifest.encode(Index(manifests=[named(top, "docker.io/library/a:1")]))
    ((_, (_, layers)),) = found(files)
    amd64 = manifest.decode_manifest(files[blob_name(children[1])])
    assert isinstance(amd64, Manifest)
    listing = [{"Config": blob_name(amd64.config), "RepoTags": ["a:1"], "Layers": layers}]
    files["manifest.json"] = json.dumps(listing).encode()
    (image,) = find(files)
    assert image.target == top.digest
    assert [b"amd64" in leaf.config for leaf in image.leaves] == [True, False]
    assert all(leaf.manifest is not None for leaf in image.leaves)


def test_manifests_that_a_save_made_up_are_not_kept() -> None:
    files: dict[str, bytes] = {}
    plain = image_for(files, "amd64", manifest.OCI_LAYER)
    files["index.json"] = manifest.encode(Index(manifests=[named(plain, "docker.io/library/a:1")]))
    decoded = manifest.decode_manifest(files[blob_name(plain)])
    assert isinstance(decoded, Manifest)
    listing = [
        {
            "Config": blob_name(decoded.config),
            "RepoTags": ["a:1"],
            "Layers": [blob_name(layer) for layer in decoded.layers],
        }
    ]
    files["manifest.json"] = json.dumps(listing).encode()
    (image,) = find(files)
    assert image.target is None and image.leaves[0].manifest is None


def test_blobs_are_checked_and_indexes_end() -> None:
    files: dict[str, bytes] = {}
    top = blob(files, b"{}", manifest.OCI_INDEX)
    files[blob_name(top)] = b'{"manifests": []}'
    files["index.json"] = manifest.encode(Index(manifests=[top]))
    with pytest.raises(InvalidParameter, match="has the digest"):
        found(files)
    files = {}
    level = Index(manifests=[])
    for _ in range(10):
        level = Index(manifests=[blob(files, manifest.encode(level), manifest.OCI_INDEX)])
    files["index.json"] = manifest.encode(level)
    with pytest.raises(InvalidParameter, match="nested too deep"):
        found(files)
    bad = Descriptor(digest=Digest("sha256:../../etc/passwd"), size=1)
    with pytest.raises(InvalidParameter, match="bad digest"):
        blob_name(bad)
