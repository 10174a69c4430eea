from __future__ import annotations

from typing import Any

import pytest

from pierhead.build.export import attributes
from pierhead.build.export.attributes import ArchiveTarget, ImageTarget, TreeTarget
from pierhead.errors import InvalidParameter, NotImplementedYet
from pierhead.oci.platform import Platform


def read(type_: str, *tags: str, annotations: dict[str, str] | None = None, **given: str) -> Any:
    return attributes.target(
        type_,
        {key.replace("_", "-"): value for key, value in given.items()},
        tags=tags,
        annotations=annotations or {},
    )


def test_names_are_normalised_and_count_once() -> None:
    target = read("image", name="app,docker.io/library/app:latest,example.org/x:1")
    assert isinstance(target, ImageTarget)
    assert [str(name) for name in target.names] == [
        "docker.io/library/app:latest",
        "example.org/x:1",
    ]


def test_the_build_s_tags_are_the_names_where_none_is_said() -> None:
    assert [name.familiar for name in read("oci", "app:1").names] == ["app:1"]


def test_types() -> None:
    assert read("cacheonly") is None
    assert isinstance(read("local"), TreeTarget)
    assert isinstance(read("docker"), ArchiveTarget) and read("docker").docker
    assert read("registry", "app").push and not read("image", "app").push


@pytest.mark.parametrize(
    ("type_", "given", "words"),
    [
        ("image", {"nmae": "x"}, 'unknown attribute "nmae" of the output type=image'),
        ("local", {"compression": "gzip"}, 'unknown attribute "compression"'),
        ("image", {"push": "maybe"}, "non-bool value 'maybe' specified for push"),
        ("image", {"compression": "lzma"}, "unsupported layer compression type"),
        ("image", {"compression-level": "11"}, "gzip has 0 to 9"),
        ("image", {"oci-mediatypes": "false", "annotation.a": "b"}, "cannot export annotations"),
        ("image", {"annotation-foo.a": "b"}, "unrecognized annotation type foo"),
        ("image", {"name": "x@sha256:" + "0" * 64}, "can't be given a digest"),
        ("registry", {}, "tag is needed when pushing to registry"),
        ("docker", {"compression": "zstd"}, "docker archives can't hold zstd"),
        ("oci", {"source-date-epoch": "soon"}, "invalid SOURCE_DATE_EPOCH"),
    ],
)
def test_what_can_t_be_is_refused(type_: str, given: dict[str, str], words: str) -> None:
    with pytest.raises(InvalidParameter, match=words):
        attributes.target(type_, given, tags=(), annotations={})


@pytest.mark.parametrize(
    "given",
    [{"compression": "estargz"}, {"registry.insecure": "true"}, {"dangling-name-prefix": "x"}],
)
def test_what_isn_t_done_is_said(given: dict[str, str]) -> None:
    with pytest.raises(NotImplementedYet):
        attributes.target("image", given, tags=(), annotations={})


def test_annotations_know_their_place() -> None:
    packing = attributes.target(
        "image",
        {"annotation-index.a": "1", "annotation[linux/arm64].b": "2", "annotation.c": "3"},
        tags=(),
        annotations={"manifest-descriptor:d": "4", "e": "5"},
    ).packing  # type: ignore[union-attr]
    arm, amd = Platform("linux", "arm64"), Platform("linux", "amd64")
    assert packing.annotated("index") == {"a": "1"}
    assert packing.annotated("manifest", arm) == {"b": "2", "c": "3", "e": "5"}
    assert packing.annotated("manifest", amd) == {"c": "3", "e": "5"}
    assert packing.annotated("manifest-descriptor", amd) == {"d": "4"}
    assert packing.annotated("index-descriptor") is None
    assert packing.asked and packing.needs_oci
