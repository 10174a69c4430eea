from __future__ import annotations

from pierhead.build.export.packing import clamp, prepare, purl
from pierhead.oci import reference
from unit.build.export.conftest import Build


def test_the_base_s_times_stay(build: Build) -> None:
    base = build.world.images.index.images[build.world.image("base")]
    image = build.assembled(b"mine", base=base)
    clamp(image.config, base.config, 10)
    assert [entry.created for entry in image.config.history] == [
        base.config.history[0].created,
        "1970-01-01T00:00:10Z",
    ]
    assert image.config.created == "1970-01-01T00:00:10Z"


def test_earlier_times_are_left(build: Build) -> None:
    image = build.assembled(b"mine")
    prepared = prepare(image, base=None, epoch_s=4_000_000_000)
    assert b"2024-05-06T07:08:09Z" in prepared.config


def test_an_inline_cache_changes_the_id(build: Build) -> None:
    image = build.assembled(b"mine")
    plain = prepare(image, base=None, epoch_s=None)
    cached = prepare(image, base=None, epoch_s=None, inline_cache={"version": 1})
    assert plain.config == image.config.encode() and plain.id != cached.id


def test_purls() -> None:
    assert purl(reference.parse("app"), "linux/amd64") == (
        "pkg:docker/app@latest?platform=linux%2Famd64"
    )
    assert purl(reference.parse("host:5000/a/b:1"), "") == "pkg:docker/host%3A5000/a/b@1"
