"""Cases from what dockerd 20.10 and the reference grammar do."""

from __future__ import annotations

import pytest

from pierhead.errors import InvalidParameter
from pierhead.oci import reference
from pierhead.oci.reference import Reference

DIGEST = "sha256:" + "a" * 64


@pytest.mark.parametrize(
    ("text", "long", "familiar"),
    [
        ("busybox", "docker.io/library/busybox", "busybox"),
        ("busybox:1", "docker.io/library/busybox:1", "busybox:1"),
        ("library/busybox", "docker.io/library/busybox", "busybox"),
        ("docker.io/busybox", "docker.io/library/busybox", "busybox"),
        ("index.docker.io/library/busybox:x", "docker.io/library/busybox:x", "busybox:x"),
        ("user/app", "docker.io/user/app", "user/app"),
        ("docker.io/library/a/b", "docker.io/library/a/b", "library/a/b"),
        ("localhost/app", "localhost/app", "localhost/app"),
        (
            "localhost:5000/a/b:v1.2_3-x",
            "localhost:5000/a/b:v1.2_3-x",
            "localhost:5000/a/b:v1.2_3-x",
        ),
        ("quay.io/x/y", "quay.io/x/y", "quay.io/x/y"),
        ("Registry/app", "Registry/app", "Registry/app"),
        ("[::1]:5000/app", "[::1]:5000/app", "[::1]:5000/app"),
        (f"busybox@{DIGEST}", f"docker.io/library/busybox@{DIGEST}", f"busybox@{DIGEST}"),
        (f"a:b@{DIGEST}", f"docker.io/library/a:b@{DIGEST}", f"a:b@{DIGEST}"),
        ("a__b--c/e_f.g", "docker.io/a__b--c/e_f.g", "a__b--c/e_f.g"),
        ("a-b.c/d", "a-b.c/d", "a-b.c/d"),
    ],
)
def test_names_are_normalised_and_made_familiar(text: str, long: str, familiar: str) -> None:
    ref = reference.parse(text)
    assert (str(ref), ref.familiar) == (long, familiar)
    assert reference.parse(str(ref)) == ref
    assert reference.parse_stored(str(ref)) == ref
    assert reference.familiar(str(ref)) == familiar


@pytest.mark.parametrize(
    "text",
    ["", ":tag", "a:", "a@", "-a", "a-", "a//b", "a/", "/a", "a b", "a:b c", "a:" + "x" * 129,
     "a@sha256:abc", "ä", "a..b", "a___b", "a:b:c", "http://a/b", "a\n", "a:latest\n", "."],
)  # fmt: skip
def test_bad_names_are_refused(text: str) -> None:
    with pytest.raises(InvalidParameter, match=r"^invalid reference format"):
        reference.parse(text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("UPPER", "invalid reference format: repository name (library/UPPER) must be lowercase"),
        (
            "user/Upper:x",
            "invalid reference format: repository name (user/Upper) must be lowercase",
        ),
        (
            "f" * 64,
            f"invalid repository name ({'f' * 64}), cannot specify 64-byte hexadecimal strings",
        ),
        ("a" * 248, "repository name must not be more than 255 characters"),
        ("a@md5:" + "0" * 32, "unsupported digest algorithm"),
        ("a@sha256:" + "0" * 63, "invalid checksum digest length"),
        ("a@sha256:" + "A" * 64, "invalid checksum digest format"),
    ],
)
def test_errors_have_dockers_words(text: str, message: str) -> None:
    with pytest.raises(InvalidParameter) as error:
        reference.parse(text)
    assert error.value.message == message


def test_tags() -> None:
    ref = reference.parse("a")
    assert ref.is_name_only
    assert ref.with_default_tag().familiar == "a:latest"
    assert ref.with_tag("v1").familiar == "a:v1"
    assert ref.with_tag("v1").with_default_tag().familiar == "a:v1"
    with pytest.raises(InvalidParameter, match=r"^invalid tag format$"):
        ref.with_tag("a b")
    digested = reference.parse(f"a:b@{DIGEST}")
    assert digested.with_default_tag() == digested
    assert digested.without_tag() == Reference("docker.io", "library/a", None, DIGEST)
