"""``pier bake --print`` beside the real ``docker buildx bake --print``: the same JSON."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from support import plugins
from support.wire_daemon import MAIN

BIG = """
variable "TAG" { default = "latest" }
variable "REGISTRY" {
  default = null
  description = "where"
}
variable "N" { default = 3 }
variable "ON" { default = true }
variable "L" {
  type = list(string)
  default = ["a", "b"]
}
function "tag" {
  params = [name]
  result = "${name}:${TAG}"
}
function "all" {
  params = [x]
  variadic_params = more
  result = join("-", concat([x], more))
}
group "default" { targets = ["app", "lib"] }
group "everything" {
  description = "x"
  targets = ["default", "m-2-q"]
}
target "_base" {
  args = { A = "1", B = TAG, C = null }
  labels = { "x.y" = "$${z} <&>" }
  platforms = ["linux/amd64"]
}
target "app" {
  inherits = ["_base"]
  context = "."
  dockerfile = "Dockerfile"
  tags = [tag("app"), all("x", "y", "z"), upper("a")]
  args = { A = 2, D = N > 2 ? "big" : "small", E = ON }
  contexts = { base = "target:lib" }
  cache-from = ["type=registry,ref=u/a:c", "user/b"]
  cache-to = [{ type = "local", dest = "x" }]
  output = ["type=image,push=true", "out"]
  secret = ["id=s,env=HOME", { id = "t", env = "T" }]
  attest = ["type=provenance,mode=max", { type = "sbom", disabled = true }]
  no-cache = true
  network = "host"
  ulimits = ["nofile=1:2"]
  shm-size = "64m"
  extra-hosts = { a = "1.2.3.4" }
  annotations = ["index:a=b"]
  dockerfile-inline = <<EOT
FROM scratch
RUN echo ${TAG} %{ if ON }yes%{ else }no%{ endif }
EOT
}
target "lib" {
  tags = [for i in range(3) : "lib:${i}" if i != 1]
  target = target.app.dockerfile
}
target "m" {
  name = "m-${replace(v, ".", "-")}-${x.k}"
  matrix = { v = ["1.0", "2"], x = [{ k = "q" }] }
  args = { V = v }
  entitlements = ["security.insecure"]
}
"""

VALUES = r"""
target "default" {
  args = {
    a = "${jsonencode(chunklist([1, 2, 3], 2))} ${10 / 4} ${7 % 3} ${-7 % 3} ${1e3} ${0.1}"
    b = "${cidrsubnet("10.0.0.0/8", 8, 3)} ${cidrhost("10.0.0.0/8", 5)}"
    c = jsonencode(cidrsubnets("10.1.0.0/16", 4, 4, 8, 4))
    d = format("%s-%03d-%q-%v-%5.2f-%x-%t", "a", 7, "q", [1, "b"], 3.14159, 255, true)
    e = formatdate("YYYY-MM-DD'T'hh:mm:ss Z EEE MMM", "2024-02-03T04:05:06Z")
    f = jsonencode([for k, v in { a = 1, b = 2 } : "${k}=${v}"])
    g = jsonencode({ for v in ["a", "b"] : v => upper(v) })
    h = jsonencode([{ a = 1 }, { a = 2 }][*].a)
    i = "%{ for x in ["a", "b"] ~} ${x} %{ endfor ~}!"
    j = <<-EOT
      indented
        more ${1 + 2 * 3}
      done
    EOT
    k = regex_replace("hello world", "(o) (w)", "$2-$1")
    l = jsonencode(setproduct(["a", "b"], [1, 2]))
    m = "${title("hello world")} ${substr("hello", -3, 2)} ${indexof(["a", "b"], "b")}"
    n = jsonencode(jsondecode("{\"a\":[1,2.5,null]}"))
    o = convert("5", number) + 1
    p = uuidv5("dns", "example.com")
    q = try(jsondecode("{"), "fallback")
    r = "a" == "a" && !(1 > 2) ? timeadd("2024-01-01T00:00:00Z", "1h30m") : "no"
    s = jsonencode(zipmap(["a"], ["<1>"]))
    t = pow(2, 0.5)
  }
}
"""

COMPOSE = """
services:
  web:
    image: me/web:${TAG:-dev}
    build:
      context: ./web
      args: {A: 1, B: }
      target: prod
      labels: ["x=y"]
      cache_from: ["me/cache"]
      platforms: [linux/amd64]
      shm_size: 128m
      ulimits: {nofile: {soft: 1, hard: 2}}
      extra_hosts: ["a:1.2.3.4"]
      secrets: [tok]
      additional_contexts: {base: "docker-image://alpine"}
      no_cache: true
      x-bake:
        tags: [extra:1]
        output: ["type=docker"]
  db.x:
    build: .
secrets:
  tok: {environment: HOME}
"""

JSON = """{
  "variable": {"V": {"default": "x"}},
  "target": {
    "default": {"tags": ["t:${V}"], "args": {"Q": "${V == \\"x\\" ? \\"yes\\" : \\"no\\"}"}},
    "b": {"inherits": ["default"], "platforms": ["linux/arm64"]}
  }
}"""


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("f.hcl", BIG, []),
        ("f.hcl", BIG, ["everything"]),
        ("f.hcl", BIG, ["lib", "--set", "lib.args.X=1", "--set", "*.platform=linux/arm64"]),
        ("f.hcl", BIG, ["app", "--load", "--push", "--set", "app.tags+=q", "--no-cache"]),
        ("f.hcl", BIG, ["m", "--provenance", "mode=max", "--set", "m-*.pull=true"]),
        ("f.hcl", BIG, ["*b"]),
        ("f.hcl", BIG, ["nope"]),
        ("f.hcl", BIG, ["app", "--set", "app.foo=1"]),
        ("f.hcl", VALUES, []),
        ("compose.yaml", COMPOSE, []),
        ("f.json", JSON, ["default", "b"]),
    ],
)
def test_the_same(name: str, text: str, words: list[str], tmp_path: Path) -> None:
    buildx = plugins.find("buildx")
    if buildx is None:
        pytest.skip("no docker-buildx here")
    if name.endswith("yaml"):
        pytest.importorskip("yaml")
    (tmp_path / name).write_text(text)
    env = {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "TAG": "given", "B": "too"}
    arguments = ["bake", "-f", name, "--print", *words]

    def run(*program: str) -> tuple[int, object, str]:
        done = subprocess.run(
            [*program, *arguments], cwd=tmp_path, env=env, capture_output=True, text=True
        )
        told = [line for line in done.stderr.splitlines() if line and line[0] != "#"]
        return done.returncode, json.loads(done.stdout or "null"), "\n".join(told)

    assert run(sys.executable, str(MAIN)) == run(str(buildx))
