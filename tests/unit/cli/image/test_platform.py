from __future__ import annotations

import pytest

from pierhead.cli.errors import CliError
from pierhead.cli.image.platform import platform_json


@pytest.mark.parametrize(
    ("text", "json"),
    [
        ("linux/amd64", '{"os":"linux","architecture":"amd64"}'),
        ("linux/aarch64", '{"os":"linux","architecture":"arm64"}'),
        ("arm64", '{"os":"linux","architecture":"arm64"}'),
        ("linux/arm/v7", '{"os":"linux","architecture":"arm","variant":"v7"}'),
    ],
)
def test_good(text: str, json: str) -> None:
    assert platform_json(text) == json


@pytest.mark.parametrize("text", ["", "a/b/c/d", "linux/", "li nux/amd64"])
def test_bad(text: str) -> None:
    with pytest.raises(CliError, match="invalid platform"):
        platform_json(text)
