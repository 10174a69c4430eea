from __future__ import annotations

import time

import pytest

from support.fake_cli import run

STEPS = [
    {
        "Id": "sha256:cca326174f7454aa885e",
        "Created": int(time.time()) - 60,
        "CreatedBy": "/bin/sh -c #(nop)\tCMD and a rather long rest of the command",
        "Size": 1982263,
        "Comment": "x",
    },
    {"Id": "<missing>", "Created": 0, "CreatedBy": "", "Size": 0, "Comment": ""},
]


@pytest.mark.parametrize(
    ("line", "out"),
    [
        (
            "history a",
            "IMAGE          CREATED              CREATED BY"
            "                                      SIZE      COMMENT\n"
            "cca326174f74   About a minute ago   /bin/sh -c #(nop) CMD and a rather long rest…"
            "   1.98MB    x\n"
            "<missing>      N/A                                                               "
            "   0B        \n",
        ),
        ("history -q --no-trunc a", "sha256:cca326174f7454aa885e\n<missing>\n"),
        ("history -H=false --format {{.Size}} a", "1982263\n0\n"),
        ("image history --format {{.CreatedAt}} --no-trunc a", None),
    ],
)
def test_output(line: str, out: str | None) -> None:
    result = run(line, {"GET /images/a/history": STEPS})
    assert result.code == 0
    assert out is None or result.out == out


def test_platform() -> None:
    result = run("history --platform linux/arm64 a", {"GET /images/a/history": []})
    assert result.request.query == {"platform": '{"os":"linux","architecture":"arm64"}'}
