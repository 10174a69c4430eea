"""Writes ``docs/daemon-json.md`` from pierd's own table of options.

Run it after a change of ``pierhead/daemon/options.py``: ``python docs/daemon_json.py``.
``tests/unit/test_docs.py`` fails while the page is out of date.
"""

from __future__ import annotations

from pathlib import Path

from pierhead.daemon.options import OPTIONS, Option

PAGE = Path(__file__).with_name("daemon-json.md")

HEAD = """# daemon.json and pierd's flags

Written by `docs/daemon_json.py` from the daemon's own table; don't edit.

`/etc/pierhead/daemon.json` (or `--config-file`) is a JSON object. Names are dockerd's, where
dockerd has the option. Unknown keys, wrong types and a key that is also given as a flag are
errors, all reported at once; `pierd --validate` checks and exits. After `systemctl reload pierd`
(SIGHUP) the options marked *reload* take their new values; when the file has a fault, nothing
changes and the log says why.

```json
{
  "hosts": ["unix:///run/pierhead.sock", "tcp://127.0.0.1:2376"],
  "tlsverify": true,
  "tlscacert": "/etc/pierhead/ca.pem",
  "tlscert": "/etc/pierhead/cert.pem",
  "tlskey": "/etc/pierhead/key.pem",
  "log-opts": {"max-size": "10m", "max-file": "3"},
  "default-address-pools": [{"base": "172.30.0.0/16", "size": 24}],
  "labels": ["rack=7"]
}
```

Under systemd the unit passes `-H fd://`, so `hosts` stays out of the file there: a value in both
places is an error. To listen on more, use `systemctl edit pierd` and add `-H`.

"""

KINDS = {
    "bool": "true or false",
    "int": "number",
    "str": "string",
    "size": 'bytes, or a string like "64m"',
    "list": "list of strings",
    "map": "object of strings",
    "maplist": "object: name → list of strings",
    "ulimits": 'object: name → {"Name", "Soft", "Hard"}',
    "pools": 'list of {"base", "size"}',
    "runtimes": 'object: name → {"path"}',
    "any": "anything",
}


def cell(text: str) -> str:
    return text.replace("|", "\\|")


def default(option: Option) -> str:
    if option.default is None:
        return ""
    if isinstance(option.default, bool):
        return str(option.default).lower()
    return f"`{option.default}`"


def flag(option: Option) -> str:
    short = f"`-{option.short}`, " if option.short else ""
    return f"{short}`--{option.flag}`" if option.flag else ""


def page() -> str:
    """The whole page as Markdown."""
    plain = [o for o in OPTIONS if not o.note and not o.refused]
    out = [HEAD, "## Options\n\n", "| key | flag | value | default | what it does |\n"]
    out.append("| --- | --- | --- | --- | --- |\n")
    for option in plain:
        key = "" if option.key == "-" else f"`{option.name}`"
        what = option.help + (
            f"; one of {', '.join(f'`{c}`' for c in option.choices if c)}" if option.choices else ""
        )
        what += " *(reload)*" if option.reload else ""
        out.append(
            f"| {key} | {flag(option)} | {cell(KINDS[option.kind])} "
            f"| {default(option)} | {cell(what)} |\n"
        )
    out.append("\n## Taken, without effect here\n\nA warning in the log names each.\n\n")
    out.append("| key | why |\n| --- | --- |\n")
    out += [f"| `{o.name}` | {cell(o.note)} |\n" for o in OPTIONS if o.note]
    out.append("\n## Refused\n\nThey would promise a protection that is not there.\n\n")
    out.append("| key | why |\n| --- | --- |\n")
    out += [f"| `{o.name}` | {cell(o.refused)} |\n" for o in OPTIONS if o.refused]
    return "".join(out)


if __name__ == "__main__":
    PAGE.write_text(page())
