from __future__ import annotations

from pierhead.build.dockerfile import heredoc


def test_words_that_open_one() -> None:
    plain = heredoc.opens("<<EOF")
    assert plain is not None
    assert (plain.name, plain.expand, plain.chomp) == ("EOF", True, False)
    quoted = heredoc.opens("3<<-'E F'")
    assert quoted is not None
    assert (quoted.name, quoted.expand, quoted.chomp) == ("E F", False, True)
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
