from __future__ import annotations

from pierhead.build.dockerfile import heredoc
from pierhead.build.dockerfile.model import Heredoc, Range, Run


def test_words_that_open_one() -> None:
    plain = heredoc.opens("<<EOF")
    assert plain is not None
    assert (plain.name, plain.expand, plain.chomp, plain.descriptor) == ("EOF", True, False, 0)
    quoted = heredoc.opens("3<<-'E F'")
    assert quoted is not None
    assert (quoted.name, quoted.expand, quoted.chomp, quoted.descriptor) == ("E F", False, True, 3)
    blank = heredoc.opens('<<- "EOF"')
    assert blank is not None
    assert blank.name == "EOF"


def test_words_that_do_not() -> None:
    for word in ("<<", "<<<EOF", "a<<EOF", "<EOF", "<<'open", "<<a b"):
        assert heredoc.opens(word) is None, word


def test_a_line_may_open_several() -> None:
    found = heredoc.of_line("RUN cat <<A - <<-'B' > x && echo '<<NOT' # <<C")
    assert [one.name for one in found] == ["A", "B", "C"]
    assert heredoc.of_line("RUN echo 'open <<EOF") == []


def run(cmd: str, *heredocs: Heredoc) -> Run:
    return Run(original=cmd, location=Range(1, 1), keyword="RUN", cmd=cmd, heredocs=heredocs)


def test_what_the_shell_gets() -> None:
    assert heredoc.command_of(run("echo x")) == ("echo x", None)
    text = Heredoc(name="EOF", content="\techo 1\n\techo 2\n", chomp=True)
    assert heredoc.command_of(run("<<-EOF", text)) == ("echo 1\necho 2\n", None)
    script = Heredoc(name="EOF", content="#!/usr/bin/env python\nprint()\n")
    assert heredoc.command_of(run("<<EOF", script)) == ("", script)
    raw = Heredoc(name="A", content="a\n")
    other = Heredoc(name="B", content="\tb\n", chomp=True)
    assert heredoc.command_of(run("cat <<A <<-B", raw, other)) == (
        "cat <<A <<-B\na\nA\n\tb\nB",
        None,
    )


def test_summary() -> None:
    assert heredoc.summary("\n one\r\ntwo") == "one..."
    assert heredoc.summary("one\n") == "one"
