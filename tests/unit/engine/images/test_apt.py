from __future__ import annotations

import pytest

from pierhead.engine.images import apt
from pierhead.errors import Unavailable


async def test_a_tools_last_words_are_passed_on() -> None:
    with pytest.raises(Unavailable, match="sh failed: one two"):
        await apt.run(["sh", "-c", "printf 'one\\ntwo\\n' >&2; exit 3"])
    with pytest.raises(Unavailable, match="is not installed"):
        await apt.run(["no-such-tool-here"])
    with pytest.raises(Unavailable, match="took longer"):
        await apt.run(["sleep", "10"], timeout_s=0.05)
    assert await apt.run(["printf", "x"]) == b"x"


async def test_the_environment_is_clean(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET", "1")
    assert b"SECRET" not in await apt.run(["env"])
