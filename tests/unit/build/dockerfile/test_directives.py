from __future__ import annotations

import pytest

from pierhead.build.dockerfile.directives import Directives


def fed(text: str) -> Directives:
    directives = Directives()
    for number, line in enumerate(text.split("\n"), 1):
        directives.feed(line, number)
    return directives


def test_they_stand_at_the_top_only() -> None:
    directives = fed(
        "# syntax = docker/dockerfile:1\n#ESCAPE=`\n# check=skip=all\n# a comment\n# x=y"
    )
    assert directives.found == {
        "syntax": "docker/dockerfile:1",
        "escape": "`",
        "check": "skip=all",
    }
    assert directives.lines["escape"] == 2
    assert directives.escape == "`"
    assert directives.done
    assert fed("FROM x\n# escape=`").found == {}
    assert fed("# unknown=1\n# escape=`").found == {}


def test_faults() -> None:
    with pytest.raises(ValueError, match="only one escape parser directive can be used"):
        fed("# escape=`\n# escape=`")
    with pytest.raises(ValueError, match="invalid escape token 'x' does not match ` or"):
        fed("# escape=x")


def test_ours_is_a_comment_unless_it_says_what_we_know() -> None:
    assert fed("# pier: include\n# escape=`").pier_features == {"include"}
    assert fed("# Pier = Include").pier_features == {"include"}
    assert fed("# pier: a fine place").pier_features == frozenset()
