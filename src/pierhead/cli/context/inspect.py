"""``pier context inspect``."""

from __future__ import annotations

from pierhead.cli.context.store import DEFAULT, check, endpoint
from pierhead.cli.flags import Command
from pierhead.cli.inspecting import inspect_all

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pierhead.cli.flags import Options
    from pierhead.cli.main import Cli


def inspect(cli: Cli, options: Options, args: list[str]) -> None:
    """The default context as docker describes it."""

    def fetch(name: str) -> str:
        check(name)
        from pierhead.cli.gotemplate.json_text import encode_string

        memory = encode_string("<IN MEMORY>")
        host = encode_string(endpoint(cli))
        return (
            f'{{"Name":"{DEFAULT}","Metadata":{{}},'
            f'"Endpoints":{{"docker":{{"Host":{host},"SkipTLSVerify":false}}}},'
            f'"TLSMaterial":{{}},"Storage":{{"MetadataPath":{memory},"TLSPath":{memory}}}}}'
        )

    inspect_all(cli, args or [DEFAULT], options.string("format"), "", fetch)


INSPECT = Command(
    "[OPTIONS] [CONTEXT] [CONTEXT...]",
    inspect,
    (("format", "f", "string", "", "Print with 'json' or a Go template"),),
    args=(0, None),
)
