from __future__ import annotations

import pytest

from pierhead.engine.images import bootstrap
from pierhead.errors import InvalidParameter


def request(spec: str, **given: object) -> bootstrap.Request:
    fields: dict[str, object] = {"variant": "", "packages": [], "mirror": "", "name": "", **given}
    return bootstrap.request(spec, **fields)  # type: ignore[arg-type]


def test_what_is_asked_for() -> None:
    assert request("busybox").ref.familiar == "busybox:latest"
    assert request("debian:trixie").ref.familiar == "debian:trixie"
    assert request("debian:trixie").variant == "minbase"
    assert request("debian").suite == "stable"
    assert request("debian:sid", name="my/base:1").ref.familiar == "my/base:1"


@pytest.mark.parametrize(
    ("spec", "given", "message"),
    [
        ("ubuntu", {}, "choose busybox or debian"),
        ("busybox", {"packages": ["x"]}, "takes no variant, packages or mirror"),
        ("debian:--hook", {}, "invalid suite"),
        ("debian:a b", {}, "invalid suite"),
        ("debian:../x", {}, "invalid suite"),
        ("debian:sid", {"variant": "huge"}, "choose one of minbase"),
        ("debian:sid", {"packages": ["--x"]}, "invalid package name"),
        ("debian:sid", {"packages": ["a,b"]}, "invalid package name"),
        ("debian:sid", {"mirror": "-x"}, "invalid mirror"),
        ("debian:sid", {"mirror": "http://a b"}, "invalid mirror"),
        ("busybox", {"name": "UPPER"}, "invalid reference format"),
    ],
)
def test_what_cannot_be_is_refused(spec: str, given: dict[str, object], message: str) -> None:
    with pytest.raises(InvalidParameter, match=message):
        request(spec, **given)
