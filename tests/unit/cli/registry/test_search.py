from __future__ import annotations

from support.fake_cli import run

ANSWERS = {
    "GET /images/search": [
        {"name": "busybox", "description": "a\nb", "star_count": 5, "is_official": True},
        {"name": "x/busybox", "description": "d" * 60, "star_count": 0, "is_official": False},
    ]
}


def test_table() -> None:
    assert run("search busybox", ANSWERS).out == (
        "NAME        DESCRIPTION                                     STARS     OFFICIAL\n"
        "busybox     a b                                             5         [OK]\n"
        f"x/busybox   {'d' * 44}…   0         \n"
    )


def test_formats_and_query() -> None:
    result = run("search --limit 5 -f stars=3 --format json busybox", ANSWERS)
    assert '"IsOfficial":"true"' in result.out
    assert result.request.query == {"term": "busybox", "limit": 5, "filters": {"stars": ["3"]}}
    assert run("search --no-trunc --format {{.Description}} b", ANSWERS).out == f"a b\n{'d' * 60}\n"
