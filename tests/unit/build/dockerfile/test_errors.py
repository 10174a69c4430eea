from __future__ import annotations

from pierhead.build.dockerfile.errors import BuildError, suggest, with_suggestion
from pierhead.build.dockerfile.model import Range, SourceText

SOURCE = SourceText(
    "Dockerfile", b"FROM a\n\nRUN x\nFOO y\nRUN z\nCMD a\nCMD b\n", {"i": b"x\ny\n"}
)


def test_render_shows_the_lines_around() -> None:
    error = BuildError("unknown instruction: FOO", Range(4, 4), SOURCE)
    assert error.render() == (
        "Dockerfile:4\n"
        "--------------------\n"
        "   2 |     \n"
        "   3 |     RUN x\n"
        "   4 | >>> FOO y\n"
        "   5 |     RUN z\n"
        "   6 |     CMD a\n"
        "--------------------\n"
        "ERROR: unknown instruction: FOO"
    )


def test_a_range_is_marked_whole_and_an_end_has_no_more_lines() -> None:
    text = BuildError("x", Range(3, 4), SOURCE).excerpt()
    assert "   3 | >>> RUN x\n   4 | >>> FOO y\n   5 |     RUN z\n" in text
    assert "   7 | >>> CMD b\n" in BuildError("x", Range(7, 9), SOURCE).excerpt()


def test_files_that_are_included_and_places_that_are_not() -> None:
    assert BuildError("x", Range(1, 1, "i"), SOURCE).excerpt().startswith("i:1\n")
    assert BuildError("x", Range(99, 99), SOURCE).excerpt() == ""
    assert BuildError("x").render() == "ERROR: x"


def test_suggestions() -> None:
    names = ["FROM", "RUN", "COPY"]
    assert suggest("FORM", names) == "FROM"
    assert suggest("form", names, case_sensitive=False) == "from"
    assert suggest("RUN", names) == ""
    assert suggest("nothing like it", names) == ""
    assert suggest("x" * 10_000, names) == ""
    assert with_suggestion("no", "CPY", names) == "no (did you mean COPY?)"
