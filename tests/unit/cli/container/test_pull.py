from __future__ import annotations

from typing import Any

import pytest

from pierhead.cli.container.pull import named, pull_image
from pierhead.cli.errors import CliError
from pierhead.cli.format.references import parse
from support.fake_cli import FakeCli, FakeClient

STORED = {"auths": {"a.example": {"auth": "YW5uOnB3"}}}


@pytest.mark.parametrize(
    ("image", "full", "short"),
    [
        ("i", "docker.io/library/i:latest", "i:latest"),
        ("docker.io/library/i:t", "docker.io/library/i:t", "i:t"),
        ("r:5000/i", "r:5000/i:latest", "r:5000/i:latest"),
        (f"i@sha256:{'a' * 64}", f"docker.io/library/i@sha256:{'a' * 64}", None),
    ],
)
def test_references(image: str, full: str, short: str | None) -> None:
    reference = named(image)
    assert reference is not None
    assert (str(reference), reference.familiar()) == (full, short or image)


@pytest.mark.parametrize("image", ["a" * 64, "sha256:" + "0" * 64])
def test_an_id_can_not_be_pulled(image: str) -> None:
    assert named(image) is None


def test_no_reference() -> None:
    with pytest.raises(ValueError, match="must be lowercase"):
        named("UPPER")


def pull(messages: list[Any], image: str, **options: Any) -> FakeCli:
    client = FakeClient({"POST /images/create": messages}, "1.56")
    cli = FakeCli("run", client, STORED, "")
    arguments: dict[str, Any] = {"platform": "", "quiet": False} | options
    pull_image(cli, parse(image), **arguments)  # type: ignore[arg-type]
    return cli


def test_the_request_carries_the_credentials() -> None:
    cli = pull([], "a.example/x:1", platform="Linux/ARM64")
    (request,) = cli.client.requests
    assert request.query == {"fromImage": "a.example/x", "tag": "1", "platform": "linux/arm64"}
    assert request.headers["X-Registry-Auth"] not in ("", "e30=")


def test_the_progress_goes_to_stderr() -> None:
    messages = [{"status": "Pulling", "id": "l"}, {"status": "Done"}]
    cli = pull(messages, "i:1")
    assert ("".join(cli.complaints), cli.written) == ("l: Pulling\nDone\n", [])
    assert pull(messages, "i:1", quiet=True).complaints == []


def test_an_error_within_the_progress() -> None:
    with pytest.raises(CliError, match="no!"):
        pull([{"error": "no", "errorDetail": {"message": "no!"}}], "i:1")
