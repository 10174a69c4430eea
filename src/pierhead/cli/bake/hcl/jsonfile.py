"""HCL's JSON syntax: a document to the same nodes as the native syntax. No IO.

Which properties are blocks and how many labels they have is known from ``blocks``; every
string is a template. Source: the HCL JSON syntax specification.
"""

from __future__ import annotations

from pierhead.cli.bake.hcl import nodes
from pierhead.cli.bake.hcl.parser import Parser
from pierhead.cli.bake.hcl.templates import TemplateParser

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any


def parse(name: str, text: str, blocks: Mapping[str, int]) -> nodes.Body:
    """A whole file; ``blocks``: type → number of labels. Raises ``HclError``."""
    import json

    source = nodes.Source(name, text)
    try:
        value = json.loads(text)
    except ValueError as error:
        at = getattr(error, "pos", 0)
        raise nodes.HclError(source, at, at + 1, "Invalid JSON", str(error)) from None
    if not isinstance(value, dict):
        raise nodes.HclError(source, 0, 1, "Incorrect JSON value type", "An object is required.")
    body = nodes.Body()
    for key, item in value.items():
        start = _find(text, key)
        if key in blocks:
            for labels, content in _labelled(item, blocks[key], ()):
                inner = _body(source, content, start)
                block = nodes.Block(source, start, start + len(key) + 2, key, labels, inner)
                body.blocks.append(block)
        else:
            body.attributes[key] = nodes.Assignment(key, _node(source, item, start), start)
    return body


def _labelled(
    value: Any, labels: int, found: tuple[str, ...]
) -> list[tuple[tuple[str, ...], dict[str, Any]]]:
    """Label objects nested in each other, lists of them allowed at each level."""
    out: list[tuple[tuple[str, ...], dict[str, Any]]] = []
    for one in value if isinstance(value, list) else [value]:
        if not isinstance(one, dict):
            continue
        if not labels:
            out.append((found, one))
            continue
        for label, inner in one.items():
            out += _labelled(inner, labels - 1, (*found, label))
    return out


def _body(source: nodes.Source, value: dict[str, Any], start: int) -> nodes.Body:
    body = nodes.Body()
    for key, item in value.items():
        at = _find(source.text, key, start)
        if key == "validation":
            for one in item if isinstance(item, list) else [item]:
                inner = _body(source, one, at)
                body.blocks.append(nodes.Block(source, at, at + len(key), key, (), inner))
        else:
            body.attributes[key] = nodes.Assignment(key, _node(source, item, at), at)
    return body


def _find(text: str, key: str, start: int = 0) -> int:
    """Where a property probably stands: for error messages only."""
    return max(text.find(f'"{key}"', start), 0)


def _node(source: nodes.Source, value: Any, at: int) -> nodes.Node:
    if isinstance(value, str):
        if "${" not in value and "%{" not in value:
            return nodes.Literal(source, at, at, value)
        return TemplateParser(Parser(nodes.Source(source.name, value))).whole()
    if isinstance(value, list):
        return nodes.Tuple(source, at, at, [_node(source, one, at) for one in value])
    if isinstance(value, dict):
        items = [(_node(source, key, at), _node(source, one, at)) for key, one in value.items()]
        return nodes.Object(source, at, at, items)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return nodes.Literal(source, at, at, value)


def expression(text: str, name: str) -> nodes.Node:
    """A constant of JSON that stands for an expression of the native syntax (types)."""
    return Parser(nodes.Source(name, text)).expression()
