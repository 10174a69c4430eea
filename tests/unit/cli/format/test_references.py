from __future__ import annotations

import pytest

from pierhead.cli.format.references import familiar_image, parse


@pytest.mark.parametrize(
    ("text", "full", "short"),
    [
        ("busybox", "docker.io/library/busybox", "busybox"),
        ("busybox:1", "docker.io/library/busybox:1", "busybox:1"),
        ("a/b", "docker.io/a/b", "a/b"),
        ("docker.io/library/x:y", "docker.io/library/x:y", "x:y"),
        ("index.docker.io/a/b", "docker.io/a/b", "a/b"),
        ("localhost/x", "localhost/x", "localhost/x"),
        ("localhost:5000/x/y:z", "localhost:5000/x/y:z", "localhost:5000/x/y:z"),
        ("ghcr.io/a/b-c__d", "ghcr.io/a/b-c__d", "ghcr.io/a/b-c__d"),
        (f"x@sha256:{'a' * 64}", f"docker.io/library/x@sha256:{'a' * 64}", f"x@sha256:{'a' * 64}"),
        (
            f"x:1@sha256:{'a' * 64}",
            f"docker.io/library/x:1@sha256:{'a' * 64}",
            f"x:1@sha256:{'a' * 64}",
        ),
    ],
)
def test_names(text: str, full: str, short: str) -> None:
    assert str(parse(text)) == full
    assert parse(text).familiar() == short


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "invalid reference format"),
        ("a b", "invalid reference format"),
        ("x:", "invalid reference format"),
        ("x:-a", "invalid reference format"),
        ("-x", "invalid reference format"),
        ("a//b", "invalid reference format"),
        ("x@sha256:123", "invalid reference format"),
        ("UPPER", "invalid reference format: repository name (library/UPPER) must be lowercase"),
        ("a" * 64, f"invalid repository name ({'a' * 64}), cannot specify 64-byte hexadecimal"),
        ("a/" * 150 + "x", "repository name must not be more than 255 characters"),
    ],
)
def test_refused(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=r"reference|repository") as caught:
        parse(text)
    assert str(caught.value).startswith(message)


def test_what_ps_shows() -> None:
    assert familiar_image(f"docker.io/library/x:1@sha256:{'a' * 64}") == "x:1"
    assert familiar_image("sha256:abc!") == "sha256:abc!"
