from __future__ import annotations

import pytest

from pierhead.build.dockerfile.lines import (
    LineError,
    parse_json,
    parse_line,
    parse_lines,
    split_command,
    split_words,
)


def test_lines_are_joined_and_comments_within_them_go() -> None:
    parsed = parse_lines(
        b"FROM x\nRUN a \\\n# comment\n   # another\n  b \\  \n\n  c\n\n# one\n#\n# two\nCMD z\n"
    )
    run = parsed.nodes[1]
    assert run.args == ["a   b   c"]
    assert (run.first, run.last) == (2, 7)
    assert [warning.location.first for warning in parsed.warnings] == [7]
    assert parsed.nodes[2].comments == ["two"]


def test_an_escaped_continuation_is_none() -> None:
    assert [node.args for node in parse_lines(b"RUN a \\\\\nRUN b\n").nodes] == [["a \\\\"], ["b"]]
    assert parse_lines(b"# escape=`\nRUN a `\nb\\\n").nodes[0].args == ["a b\\"]
    assert parse_lines(b"RUN a \\").nodes[0].args == ["a"]


def test_line_ends_and_byte_order_mark() -> None:
    parsed = parse_lines(b"\xef\xbb\xbf# escape=`\r\nFROM x\r\nRUN a`\r\n b\r\n")
    assert parsed.directives.escape == "`"
    assert parsed.nodes[1].args == ["a b"]


def test_flags() -> None:
    assert split_command("COPY  --from=a --chown='b c' \\--x y z", "\\") == (
        "COPY",
        ["--from=a", "--chown=b c"],
        "\\--x y z",
    )
    assert split_command("RUN -- --x y", "\\") == ("RUN", [], "--x y")
    assert split_command('RUN --a="b', "\\") == ("RUN", ["--a=b"], "")
    assert split_command("RUN", "\\") == ("RUN", [], "")


def test_words() -> None:
    assert split_words("a=b \"c d\" e\\ f 'g\\' h' 'open x", "\\") == [
        "a=b",
        '"c d"',
        "e\\ f",
        "'g\\'",
        "h' 'open",
        "x",
    ]
    assert split_words("a\\", "\\") == ["a"]
    assert split_words("  ", "\\") == []


def test_json() -> None:
    assert parse_json(' ["a", "b\\u00e9"] ') == ["a", "bé"]
    assert parse_json("[]") == []
    assert parse_json('["\\ud800"]') == ["\ufffd"]
    for text in ("a", "['a']", '["a"', "[NaN]", '["a"] x', '["a\nb"]'):
        assert parse_json(text) is None, text
    for text in ("[1]", '["a", null]', '[["a"]]', "[" * 100_000 + "]" * 100_000):
        with pytest.raises(LineError, match="arrays must be comprised of strings only"):
            parse_json(text)


def test_pairs() -> None:
    assert parse_line("ENV a=b c='d e' f=").args == ["a", "b", "=", "c", "'d e'", "=", "f", "", "="]
    assert parse_line("ENV a  b c=d").args == ["a", "b c=d", ""]
    with pytest.raises(LineError, match="ENV must have two arguments"):
        parse_line("ENV a")
    with pytest.raises(LineError, match=r'can\'t find = in "b"\. Must be of the form: name=value'):
        parse_line("LABEL a=1 b")


def test_heredocs() -> None:
    parsed = parse_lines(b"RUN <<A cat <<-B\n$x\nA\n\tb\r\n\tB\nCOPY <<'C' /x\nC\nRUN x\n")
    first, second, third = parsed.nodes
    assert [(one.name, one.content, one.text) for one in first.heredocs] == [
        ("A", "$x\n", "$x\n"),
        ("B", "\tb\r\n", "b\r\n"),
    ]
    assert (first.first, first.last) == (1, 5)
    assert second.heredocs[0].expand is False
    assert third.args == ["x"]


def test_where_no_heredoc_can_be() -> None:
    assert parse_lines(b"CMD cat <<EOF\n").nodes[0].heredocs == []
    assert parse_lines(b'RUN ["cat", "<<EOF"]\n').nodes[0].heredocs == []
    assert parse_lines(b"ONBUILD RUN <<E\nx\nE\n").nodes[0].heredocs[0].content == "x\n"
    with pytest.raises(LineError, match="unterminated heredoc") as caught:
        parse_lines(b"FROM x\nRUN <<EOF\na\n")
    assert (caught.value.first, caught.value.last) == (2, 3)


def test_nothing_is_an_error() -> None:
    for text in (b"", b"\n\n", b"# only\n# comments"):
        with pytest.raises(LineError, match="file with no instructions"):
            parse_lines(text)


def test_chained_onbuild_is_not_gone_into() -> None:
    node = parse_line("ONBUILD " * 10_000 + "RUN x")
    assert node.args == ["ONBUILD"]
    assert parse_line("ONBUILDX y").child is None
