from __future__ import annotations

from support.fake_cli import run

ANSWERS = {
    "DELETE /images/a%3A1": [{"Untagged": "a:1"}, {"Deleted": "sha256:x"}],
    "DELETE /images/gone": (404, "No such image: gone:latest"),
    "DELETE /images/busy": (409, "conflict: busy"),
}


def test_all_are_tried() -> None:
    result = run("rmi gone a:1", ANSWERS)
    assert result.code == 1
    assert result.out == "Untagged: a:1\nDeleted: sha256:x\n"
    assert result.err == "Error response from daemon: No such image: gone:latest\n"


def test_force_overlooks_what_is_not_there_only() -> None:
    assert run("image rm -f gone", ANSWERS).code == 0
    assert run("image rm -f gone busy", ANSWERS).code == 1


def test_query() -> None:
    result = run("image rm --no-prune --platform linux/arm64 a:1", ANSWERS)
    assert result.request.query == {
        "noprune": True,
        "platforms": ['{"os":"linux","architecture":"arm64"}'],
    }
