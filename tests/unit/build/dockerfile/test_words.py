"""Words: each modifier, quotes and escapes, and texts that want to grow without end."""

from __future__ import annotations

import random

import pytest

from pierhead.build.dockerfile import words
from pierhead.build.dockerfile.words import WordError, expand, expand_words, lex

ENV = {"HOME": "/root", "EMPTY": "", "FILE": "src/lib/tar.tar.gz", "STAR": "a*b", "AB": "aaab"}


@pytest.mark.parametrize(
    ("text", "result"),
    [
        ("plain", "plain"),
        ("$HOME/x", "/root/x"),
        ("${HOME}x", "/rootx"),
        ("a$NOx", "a"),
        ("$", "$"),
        ("$.x", "$.x"),
        ("$1x", "x"),
        ("\\$HOME", "$HOME"),
        ("'$HOME'", "$HOME"),
        ('"$HOME"', "/root"),
        ('"a\\b"', "a\\b"),
        ('"a\\"b"', 'a"b'),
        ("a\\b", "ab"),
        ("end\\", "end"),
        ("${NO:-x}", "x"),
        ("${NO-x}", "x"),
        ("${EMPTY:-x}", "x"),
        ("${EMPTY-x}", ""),
        ("${HOME:+y}", "y"),
        ("${EMPTY:+y}", ""),
        ("${EMPTY+y}", "y"),
        ("${NO+y}", ""),
        ("${NO:-${HOME:-z}}", "/root"),
        ("${HOME?gone}", "/root"),
        ("${EMPTY?gone}", ""),
        ("${FILE#*/}", "lib/tar.tar.gz"),
        ("${FILE##*/}", "tar.tar.gz"),
        ("${FILE%.*}", "src/lib/tar.tar"),
        ("${FILE%%.*}", "src/lib/tar"),
        ("${FILE#src}", "/lib/tar.tar.gz"),
        ("${FILE#nothing}", "src/lib/tar.tar.gz"),
        ("${FILE/tar/zip}", "src/lib/zip.tar.gz"),
        ("${FILE//tar/zip}", "src/lib/zip.zip.gz"),
        ("${FILE//\\//_}", "src_lib_tar.tar.gz"),
        ("${FILE//[/x}", "src/lib/tar.tar.gz"),
        ("${STAR#a\\*}", "b"),
        ("${AB//a?/X}", "XX"),
        ("${AB/a*a/X}", "Xb"),
        ("${NO/x/y}", ""),
        ("a<<b", "a<<b"),
        ("한국어$HOME", "한국어/root"),
    ],
)
def test_expand(text: str, result: str) -> None:
    assert expand(text, ENV) == result


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("'open", "unexpected end of statement while looking for matching single-quote"),
        ('"open', "unexpected end of statement while looking for matching double-quote"),
        ("${HOME", "unsupported modifier (\ufffd) in substitution"),
        ("${", "syntax error: missing '}'"),
        ("${}", "syntax error: bad substitution"),
        ("${HOME:=x}", "unsupported modifier (:=) in substitution"),
        ("${HOME=x}", "unsupported modifier (=) in substitution"),
        ("${HOME:#x}", "unsupported modifier (:#) in substitution"),
        ("${HOME:-x", "syntax error: missing '}'"),
        ("${HOME/x}", "syntax error: missing '/' in ${}"),
        ("${NO?}", "NO: is not allowed to be unset"),
        ("${EMPTY:?}", "EMPTY: is not allowed to be empty"),
        ("${NO:?give me $HOME}", "NO: give me /root"),
        ("${HOME#\\x}", "invalid pattern (\\x) in substitution: invalid escape '\\x'"),
    ],
)
def test_errors_are_buildkits(text: str, message: str) -> None:
    with pytest.raises(WordError) as caught:
        expand(text, ENV)
    assert str(caught.value).startswith("failed to process ")
    assert str(caught.value).endswith(f": {message}")


def test_words_split_after_expansion_but_not_in_quotes() -> None:
    env = {"PORTS": " 80  443/udp", "B": "b"}
    assert expand_words("$PORTS x", env) == ["80", "443/udp", "x"]
    assert expand_words('"$PORTS" x', env) == [" 80  443/udp", "x"]
    assert expand_words("a\\ b 'c  d'e", env) == ["a b", "c  de"]
    # BuildKit loses the "a" here: its two buffers are one.
    assert expand_words("a${NO:-b}c", env) == ["abc"]


def test_matched_and_unmatched_are_told() -> None:
    lexed = lex("$HOME ${NO:-$ALSO} ${EMPTY}", ENV)
    assert lexed.matched == {"HOME", "EMPTY"}
    assert lexed.unmatched == {"NO", "ALSO"}
    names: set[str] = set()
    expand("$NO", ENV, unmatched=names)
    assert names == {"NO"}


def test_escape_may_be_a_backtick() -> None:
    assert expand("c:\\dir`$HOME", ENV, escape="`") == "c:\\dir$HOME"


def test_raw_modes() -> None:
    assert lex("'a' \"b\"", {}, raw_quotes=True).text == "'a' \"b\""
    assert lex("a\\b", {}, raw_escapes=True).text == "a\\b"
    assert lex("$NO ${NO:-x} ${NO/a/b}", {}, keep_unset=True).text == "$NO ${NO:-x} ${NO/a/b}"
    assert lex("it's $HOME", ENV, skip_quotes=True).text == "it's /root"


def test_growth_is_bounded() -> None:
    big = {"X": "x" * (1 << 20)}
    with pytest.raises(WordError, match="expansion is longer than"):
        expand("$X" * 10, big)
    with pytest.raises(WordError, match="expansion is longer than"):
        expand("${X//x/" + "y" * 10_000 + "}", big)


def test_nesting_is_bounded() -> None:
    with pytest.raises(WordError, match="substitutions in each other"):
        expand("${NO:-" * 5000 + "x" + "}" * 5000, {})


def test_hostile_patterns_take_no_time() -> None:
    env = {"X": "a" * 20_000}
    assert expand("${X##*a*a*a*a*a*a*a*a*b}", env) == env["X"]
    assert expand("${X//*a*a*a*a*b*c/}", env) == env["X"]


def test_no_text_does_more_than_fail() -> None:
    pieces = ["$", "{", "}", "A", ":-", "#", "%", "/", "\\", "'", '"', " ", "<", "*", "?", "\udc80"]
    chance = random.Random(5)
    for _ in range(3000):
        text = "".join(chance.choice(pieces) for _ in range(chance.randint(0, 12)))
        try:
            words.lex(text, {"A": "a/b*"})
        except WordError:
            pass
