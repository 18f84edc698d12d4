"""`lookalike keys`: who may use a service that others can reach."""

import fcntl
import os
import re
from pathlib import Path

import click

from api.auth import Keys, hashed, new_key
from api.cli.output import command, json_option, print_json, shown, stderr
from services import settings
from services.errors import InvalidInput, InvalidSetting

NAME = re.compile(r"[A-Za-z0-9._-]{1,64}")


@click.group("keys")
def keys_command() -> None:
    """Make API keys.

    A service that others can reach answers only to keys whose hashes are in the file that LOOKALIKE_API_KEYS_FILE
    names.
    """


@keys_command.command("create")
@click.argument("name", metavar="NAME")
@click.option(
    "--file", metavar="FILE", type=click.Path(path_type=Path), help="Keys file.  [default: LOOKALIKE_API_KEYS_FILE]"
)
@json_option
@command
def create_command(name: str, file: Path | None, as_json: bool) -> None:
    """Make a key for NAME and print it, once.

    The keys file gets a line with the key's hash; a running service knows the key from then on.
    """
    file = file or settings.load().api_keys_file
    if file is None:
        raise InvalidSetting("There is no keys file: name one in LOOKALIKE_API_KEYS_FILE, or give --file.")
    if not NAME.fullmatch(name):
        raise InvalidInput(f"The name {name!r} is refused: it takes 1 to 64 of A-Z, a-z, 0-9, dot, - and _.")
    key = new_key()
    add(file, name, hashed(key))
    if as_json:
        print_json({"name": name, "key": key, "file": str(file)})
        return
    click.echo(key)
    stderr().print(
        shown(
            f"This is the only time that it is shown. Its hash is in {file}; commands take it from LOOKALIKE_API_KEY."
        ),
        soft_wrap=True,
    )


def add(file: Path, name: str, hash: str) -> None:
    """Adds a key to a keys file, which is made for its owner only. Raises `InvalidInput`, `InvalidSetting`."""
    try:
        with os.fdopen(os.open(file, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600), "r+") as stream:
            fcntl.flock(stream, fcntl.LOCK_EX)
            text = stream.read()
            names = [line.partition("#")[0].partition(":")[0].strip() for line in text.splitlines()]
            if any(names):
                Keys.load(file)  # raises where a line is wrong: a service would not take the new one either
            if name in names:
                raise InvalidInput(f"{file} has a key named {name} already: take another name, or remove that line.")
            # In one piece: a service may read meanwhile.
            stream.write(("" if text.endswith("\n") or not text else "\n") + f"{name}:{hash}\n")
            stream.flush()
            os.fsync(stream.fileno())
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidSetting(f"The keys file {file} cannot be used ({error}); name another with --file.") from error
