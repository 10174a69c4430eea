from __future__ import annotations

from pierhead.build.dockerfile.model import Heredoc, Range, SourceText
from pierhead.build.dockerfile.parser import parse


def test_stages_are_found_by_name_and_for_copy_by_number() -> None:
    found = parse(b"FROM a AS One\nFROM b\nFROM c AS one\nFROM d")
    assert found.stage_index("ONE") == 2
    assert found.stage_index("one", before=2) == 0
    assert found.stage_index("1") is None
    assert found.stage_index("1", numbers=True) == 1
    assert found.stage_index("1", before=1, numbers=True) is None
    assert found.stage_index("two") is None
    assert found.stage_index("9" * 5000, numbers=True) is None


def test_source_text() -> None:
    source = SourceText("D", b"\xef\xbb\xbfa\r\n\xff\n", {"i": b"z"})
    assert source.lines() == ["a", "\ufffd", ""]
    assert source.lines("i") == ["z"]
    assert source.label(Range(3, 4)) == "D:3"
    assert source.label(Range(1, 1, "i")) == "i:1"
    assert Range(3, 4).lines == (3, 4)


def test_heredoc_text_loses_tabs_only_if_asked_to() -> None:
    content = "\t\ta\n \tb\n\r\n\tc"
    assert Heredoc(name="E", content=content, chomp=True).text == "a\n \tb\n\r\nc"
    assert Heredoc(name="E", content=content).text == content
