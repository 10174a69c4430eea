from __future__ import annotations

import base64

from pierhead.cli.build.described import lint_text, outline_text, targets_text

SOURCES = [{"filename": "Dockerfile", "data": base64.b64encode(b"from a\nRUN b\n").decode()}]


def location(line: int) -> dict[str, object]:
    return {"sourceIndex": 0, "ranges": [{"start": {"line": line}, "end": {"line": line}}]}


def test_findings_in_order_of_their_lines() -> None:
    text, error = lint_text(
        {
            "warnings": [
                {"ruleName": "B", "detail": "second", "location": location(2)},
                {"ruleName": "A", "url": "https://u", "detail": "first", "location": location(1)},
            ],
            "sources": SOURCES,
        },
        "x/D",
    )
    assert text.startswith(
        "Check complete, 2 warnings have been found!\n\nWARNING: A - https://u\nfirst\n\nx/D:1\n"
    )
    assert "\nWARNING: B\nsecond\n" in text and not error


def test_no_findings_and_errors() -> None:
    assert lint_text({"warnings": []})[0] == "Check complete, no warnings found.\n"
    text, error = lint_text(
        {"buildError": {"message": "bad", "location": location(1)}, "sources": SOURCES}
    )
    assert not text.strip() or "no warnings" not in text
    assert error.startswith("bad\nDockerfile:1\n")


def test_outline() -> None:
    text = outline_text(
        {
            "name": "build",
            "description": "it",
            "args": [{"name": "A", "value": "1", "description": "one"}],
            "secrets": [{"name": "s", "required": True}],
            "ssh": [{"name": "default"}],
        }
    )
    assert text == (
        "TARGET:      build\nDESCRIPTION: it\n\n"
        "BUILD ARG   VALUE   DESCRIPTION\nA           1       one\n\n"
        "SECRET   REQUIRED\ns        true\n\nSSH       REQUIRED\ndefault   \n\n"
    )


def test_targets() -> None:
    targets = {"targets": [{"name": "a"}, {"name": "b", "default": True, "description": "d"}]}
    assert targets_text(targets) == "TARGET      DESCRIPTION\na           \nb (default) d\n"
    assert "(default)" in targets_text({"targets": [{"default": True}]})
