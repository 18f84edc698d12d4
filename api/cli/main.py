"""`lookalike`: the command line. Each command lives in a module of its own and is imported when it is run."""

import sys
from importlib import import_module
from typing import NoReturn

import click

INTERRUPTED = 130

COMMANDS = {
    "up": "up",
    "index": "index",
    "search": "search",
    "query": "query",
    "directions": "directions",
    "axis": "axis",
    "path": "path",
    "outliers": "outliers",
    "map": "map",
    "duplicates": "duplicates",
    "show": "products",
    "facets": "facets",
    "remove": "products",
    "catalogs": "catalogs",
    "optimize": "catalogs",
    "reindex": "generations",
    "generations": "generations",
    "compare": "generations",
    "evaluate": "evaluate",
    "promote": "generations",
    "rollback": "generations",
    "drop": "generations",
    "migrate": "migrate",
    "backup": "backup",
    "restore": "backup",
    "upgrade": "upgrade",
    "export": "archive",
    "import": "archive",
    "doctor": "doctor",
    "demo": "demo",
    "api": "api",
    "worker": "worker",
    "keys": "keys",
}


class Commands(click.Group):
    """Commands by name, so that `--help` and the quick ones stay quick."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module = import_module(f"api.cli.{COMMANDS[cmd_name]}")
        command: click.Command = getattr(module, f"{cmd_name}_command")
        return command


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="lookalike", message="lookalike %(version)s")
def cli() -> None:
    """Find products by how they look.

    Point `index` at a folder of pictures named by product ID; ask `search` what looks like a product or a picture.
    `up` runs the service, and where one runs on the data folder the other commands go through it.
    """


def main() -> NoReturn:
    """The entry point: Ctrl-C ends with status 130 wherever it comes, usage errors with 2."""
    try:
        cli.main(standalone_mode=False)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (KeyboardInterrupt, click.Abort):
        click.echo("Interrupted.", err=True)
        sys.exit(INTERRUPTED)
    sys.exit(0)
