from __future__ import annotations

from support.fake_cli import run


def test_image() -> None:
    answers = {"GET /images/a%2Fb%3A1/json": b'{"Id":"sha256:x","RepoTags":["a/b:1"]}'}
    assert run("image inspect -f {{.ID}}{{.RepoTags}} a/b:1", answers).out == "sha256:x[a/b:1]\n"
    result = run("image inspect --platform linux/amd64 a/b:1", answers)
    assert result.request.query == {"platform": '{"os":"linux","architecture":"amd64"}'}
    assert result.out.startswith('[\n    {\n        "Id": "sha256:x",\n')
