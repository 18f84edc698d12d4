"""`lookalike keys`: who may use a service that others can reach."""

from pathlib import Path

import click

from api.access import keys_file
from api.access.keys import EVERY, Key, Scope, new_key
from api.cli.output import command, display, json_option, print_json, stderr, stdout
from services import settings
from services.errors import InvalidSetting

file_option = click.option(
    "--file", metavar="FILE", type=click.Path(path_type=Path), help="Keys file.  [default: LOOKALIKE_API_KEYS_FILE]"
)


@click.group("keys")
def keys_command() -> None:
    """Make, list, rotate and revoke API keys.

    A service that others can reach answers only to keys whose hashes are in the file that LOOKALIKE_API_KEYS_FILE
    names. What is changed there counts from the next request on.
    """


@keys_command.command("create")
@click.argument("name", metavar="NAME")
@click.option(
    "--scope",
    "scopes",
    type=click.Choice([scope.value for scope in Scope]),
    multiple=True,
    required=True,
    help="What it opens: search (read and search), ingest (change products), admin (all). May be repeated.",
)
@click.option(
    "--catalog", "catalogs", metavar="C", multiple=True, help="Only this catalog. May be repeated.  [default: all]"
)
@file_option
@json_option
@command
def create_command(
    name: str, scopes: tuple[str, ...], catalogs: tuple[str, ...], file: Path | None, as_json: bool
) -> None:
    """Make a key for NAME and print it, once."""
    file = _named(file)
    key, secret = new_key(name, scopes, catalogs or None)
    keys_file.add(file, key)
    _show(key, secret, file, as_json)


@keys_command.command("list")
@file_option
@json_option
@command
def list_command(file: Path | None, as_json: bool) -> None:
    """List the keys: names, scopes and catalogs. The keys themselves are not kept."""
    keys = keys_file.read(_named(file))
    if as_json:
        print_json({"keys": [key.to_json() for key in keys]})
        return
    for key in keys:
        catalogs = EVERY if key.catalogs is None else ", ".join(sorted(key.catalogs))
        stdout().print(display(f"{key.name}: {', '.join(sorted(key.scopes))} on {catalogs}"), soft_wrap=True)


@keys_command.command("rotate")
@click.argument("name", metavar="NAME")
@file_option
@json_option
@command
def rotate_command(name: str, file: Path | None, as_json: bool) -> None:
    """Give NAME another key and print it, once; the old one opens nothing any more."""
    file = _named(file)
    key, secret = keys_file.rotate(file, name)
    _show(key, secret, file, as_json)


@keys_command.command("revoke")
@click.argument("name", metavar="NAME")
@file_option
@json_option
@command
def revoke_command(name: str, file: Path | None, as_json: bool) -> None:
    """Take the key of NAME away: it opens nothing any more."""
    file = _named(file)
    key = keys_file.revoke(file, name)
    if as_json:
        print_json(key.to_json() | {"file": str(file)})
    else:
        stdout().print(display(f"The key of {key.name} is no more."), soft_wrap=True)


def _named(file: Path | None) -> Path:
    file = file or settings.load().api_keys_file
    if file is None:
        raise InvalidSetting("There is no keys file: name one in LOOKALIKE_API_KEYS_FILE, or give --file.")
    return file


def _show(key: Key, secret: str, file: Path, as_json: bool) -> None:
    if as_json:
        print_json(key.to_json() | {"key": secret, "file": str(file)})
        return
    click.echo(secret)
    stderr().print(
        display(
            f"This is the only time that it is shown. Its hash is in {file}; commands take it from LOOKALIKE_API_KEY."
        ),
        soft_wrap=True,
    )
