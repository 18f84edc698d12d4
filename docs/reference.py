"""Writes the pages that say what the code says: docs/cli.md and docs/configuration.md.

    python docs/reference.py

A test fails when a page is not what this prints.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
from pydantic import SecretStr

from api.cli.main import COMMANDS, cli
from services.settings import Settings

DOCS = Path(__file__).parent

CLI_HEAD = """# Command line

Written by `python docs/reference.py` from the commands' own help.

Every command but `up` and `worker` takes `--json`: then stdout holds one JSON object and nothing else. Progress and
notes go to stderr.

Where a service runs on the data folder, commands find it by the folder's lock file and go through its HTTP API; they
say the same as without it. They send the key in `LOOKALIKE_API_KEY`, if there is one. `export`, `import` and `optimize`
need the folder to themselves, and say so.

| status | meaning |
|---|---|
| 0 | all done |
| 1 | done, but some products failed; each is named with a code |
| 2 | refused: one sentence on stderr, or `{"error": {"code", "message"}}` with `--json` |
| 130 | interrupted with Ctrl-C; what was done is kept |

## Filters

`--filter` takes Qdrant's JSON over attribute names: `must`, `must_not` and `should` hold conditions, or filters again.

| condition | true for |
|---|---|
| `{"key": "color", "match": {"value": "blue"}}` | this value, or a list that holds it |
| `{"key": "color", "match": {"any": ["blue", "red"]}}` | one of these |
| `{"key": "color", "match": {"except": ["blue"]}}` | any value but these |
| `{"key": "price", "range": {"gte": 10, "lt": 50}}` | a number in the range |
| `{"is_empty": {"key": "color"}}` | no value |

`size.width` is the `width` inside `size`, and a name with a dot is written `"\\"a.b\\""`.
"""

CONFIGURATION_HEAD = """# Configuration

Written by `python docs/reference.py` from `services/settings.py`.

What belongs to a catalog (encoder, weights, resampling, indexed attributes) is kept with the catalog. What belongs to
a process comes from the environment; an option of a command comes first.

| variable | default | meaning |
|---|---|---|
"""


def cli_page() -> str:
    """docs/cli.md."""
    context = click.Context(cli, info_name="lookalike", **cli.context_settings)
    parts = [CLI_HEAD]
    for name in COMMANDS:
        command = cli.get_command(context, name)
        assert command, name
        parts += _parts(command, name, context)
    return "\n".join(parts)


def _parts(command: click.Command, name: str, parent: click.Context) -> Iterator[str]:
    """The help of a command, and of those in it."""
    context = click.Context(command, info_name=name, parent=parent, max_content_width=100, terminal_width=100)
    title = context.command_path.removeprefix("lookalike ")
    yield f"## {title}\n\n```text\n{command.get_help(context)}\n```\n"
    for inner in command.commands.values() if isinstance(command, click.Group) else ():
        yield from _parts(inner, str(inner.name), context)


def configuration_page() -> str:
    """docs/configuration.md."""
    rows = [
        f"| `LOOKALIKE_{name.upper()}` | {_shown(field.default)} | {field.description} |"
        for name, field in Settings.model_fields.items()
    ]
    return CONFIGURATION_HEAD + "\n".join(rows) + "\n"


def _shown(default: Any) -> str:
    if default in (None, "", SecretStr("")):
        return "none"
    return f"`{default:g}`" if isinstance(default, float) else f"`{default}`"


if __name__ == "__main__":
    (DOCS / "cli.md").write_text(cli_page())
    (DOCS / "configuration.md").write_text(configuration_page())
