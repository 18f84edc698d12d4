"""Writes the pages that say what the code says: docs/cli.md and docs/configuration.md.

    python docs/reference.py

A test fails when a page is not what this prints.
"""

from pathlib import Path
from typing import Any

import click

from api.cli.main import COMMANDS, cli
from services.settings import Settings

DOCS = Path(__file__).parent

CLI_HEAD = """# Command line

Written by `python docs/reference.py` from the commands' own help.

Every command takes `--json`: then stdout holds one JSON object and nothing else. Progress and notes go to stderr.

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
        parts.append(f"## {name}\n\n```text\n{_help(command, name, context)}\n```\n")
    return "\n".join(parts)


def _help(command: click.Command, name: str, parent: click.Context) -> str:
    context = click.Context(command, info_name=name, parent=parent, max_content_width=100, terminal_width=100)
    return command.get_help(context)


def configuration_page() -> str:
    """docs/configuration.md."""
    rows = [
        f"| `LOOKALIKE_{name.upper()}` | `{_shown(field.default)}` | {field.description} |"
        for name, field in Settings.model_fields.items()
    ]
    return CONFIGURATION_HEAD + "\n".join(rows) + "\n"


def _shown(default: Any) -> str:
    return f"{default:g}" if isinstance(default, float) else str(default)


if __name__ == "__main__":
    (DOCS / "cli.md").write_text(cli_page())
    (DOCS / "configuration.md").write_text(configuration_page())
