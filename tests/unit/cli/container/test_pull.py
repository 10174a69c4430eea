from __future__ import annotations

import pytest

from pierhead.cli.container.pull import familiar, pull_image, split_reference
from pierhead.cli.errors import CliError
from support.fake_cli import FakeCli, FakeClient


@pytest.mark.parametrize(
    ("image", "name", "tag", "short"),
    [
        ("i", "i", "latest", "i:latest"),
        ("docker.io/library/i:t", "docker.io/library/i", "t", "i:t"),
        ("r:5000/i", "r:5000/i", "latest", "r:5000/i:latest"),
        ("i@sha256:ab", "i", "sha256:ab", "i@sha256:ab"),
    ],
)
def test_references(image: str, name: str, tag: str, short: str) -> None:
    assert split_reference(image) == (name, tag)
    assert familiar(image) == short


def test_an_error_within_the_progress() -> None:
    messages = [{"status": "x", "id": "l"}, {"error": "no", "errorDetail": {"message": "no!"}}]
    client = FakeClient({"POST /images/create": messages}, "1.56")
    cli = FakeCli("run", client, {}, "")
    with pytest.raises(CliError, match="no!"):
        pull_image(cli, "i", platform="linux/arm64", quiet=False)  # type: ignore[arg-type]
    assert client.requests[0].query == {
        "fromImage": "i",
        "tag": "latest",
        "platform": "linux/arm64",
    }
    assert "".join(cli.complaints) == "l: x\n"
