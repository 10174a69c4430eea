from __future__ import annotations

from pierhead.cli.image.report import show_report
from support.fake_cli import FakeCli, FakeClient, run

PATH = "GET /pierhead/images/tree"
NODES = [{"ChainId": "1", "Size": 5}]


def shown(source: str) -> tuple[str, object]:
    cli = FakeCli("x", FakeClient({PATH: NODES}, "1.56"), {}, "")
    found = show_report(
        cli,  # type: ignore[arg-type]
        "/pierhead/images/tree",
        {},
        source,
        lambda report: f"{len(report)} nodes\n",
    )
    return b"".join(cli.written).decode(), found


def test_text_json_and_templates() -> None:
    assert shown("") == ("1 nodes\n", NODES)
    assert shown("table") == ("1 nodes\n", NODES)
    assert shown("json") == ('[{"ChainId":"1","Size":5}]\n', None)
    assert shown("{{range .}}{{.Size}};{{end}}") == ("5;\n", None)


def test_bad_templates() -> None:
    assert run("image tree --format '{{'", {PATH: NODES}).code == 64
    result = run("image tree --format '{{.None.None}}'", {PATH: NODES})
    assert (result.code, result.err.startswith("template parsing error")) == (1, True)
