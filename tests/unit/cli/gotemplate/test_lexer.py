"""Tokens, their positions and lines, and where white space goes."""

from __future__ import annotations

import pytest

from pierhead.cli.gotemplate.lexer import Lexer, Token


def tokens(source: str) -> list[Token]:
    lexer = Lexer(source)
    out = []
    while True:
        out.append(lexer.next())
        if out[-1].kind in ("EOF", "error"):
            return out


def texts(source: str) -> list[str]:
    return [token.text for token in tokens(source)]


def test_words_of_an_action() -> None:
    assert texts('a{{printf "%d" .X.Y | $v}}b') == [
        *["a", "{{", "printf", " ", '"%d"', " ", ".X", ".Y", " ", "|", " ", "$v", "}}"],
        *["b", "EOF"],
    ]


def test_trim_markers_eat_white_space() -> None:
    assert texts("a \n{{- .X -}} \n b") == ["a", "{{", ".X", "}}", "b", "EOF"]
    assert texts("{{-3}}") == ["{{", "-3", "}}", "EOF"]
    assert texts("a {{- /* c */ -}} b") == ["a", "b", "EOF"]


def test_lines_are_counted() -> None:
    assert [(token.text, token.line) for token in tokens("\n{{\n.X}}\n")] == [
        ("\n", 1),
        ("{{", 2),
        ("\n", 2),
        (".X", 3),
        ("}}", 3),
        ("\n", 3),
        ("EOF", 4),
    ]


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("{{/* x", "unclosed comment"),
        ("{{/* x */ }}", "comment ends before closing delimiter"),
        ('{{"a\n"}}', "unterminated quoted string"),
        ("{{`a", "unterminated raw quoted string"),
        ("{{'a", "unterminated character constant"),
        ("{{:}}", "expected :="),
        ("{{)}}", "unexpected right paren"),
        ("{{(}}", "unclosed left paren"),
        ("{{.x!}}", "bad character U+0021 '!'"),
        ("{{\x01}}", "unrecognized character in action: U+0001"),
        ("{{3x}}", 'bad number syntax: "3x"'),
    ],
)
def test_errors(source: str, message: str) -> None:
    assert tokens(source)[-1].text == message


def test_how_tokens_are_named_in_errors() -> None:
    assert Token("EOF", 0, "EOF", 1).describe() == "EOF"
    assert Token("range", 0, "range", 1).describe() == "<range>"
    assert Token("string", 0, '"short"', 1).describe() == '"\\"short\\""'
    assert Token("identifier", 0, "abcdefghijkl", 1).describe() == '"abcdefghij"...'
