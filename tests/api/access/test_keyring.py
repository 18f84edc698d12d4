"""The file of API keys: what a line says, and that a change of it is whole."""

import multiprocessing
import stat
from pathlib import Path

import pytest
from key_files import write

from api.access import keys_file
from api.access.keyring import Keyring
from api.access.keys import Key, KeyExists, KeyNotFound, Scope, hashed, new_key, new_secret
from services.errors import InvalidCatalog, InvalidInput, InvalidSetting

A, B = hashed("a"), hashed("b")
ALL = frozenset({Scope.ADMIN})


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "keys"


def names(ring: Keyring, *secrets: str) -> list[str | None]:
    return [found.name if (found := ring.find(secret)) else None for secret in secrets]


def test_a_secret_is_long_and_random_and_its_hash_is_a_sha256() -> None:
    secrets = {new_secret() for _ in range(100)}
    assert len(secrets) == 100 and all(secret.startswith("lk_") and len(secret) >= 46 for secret in secrets)
    assert hashed("abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def test_a_line_says_what_a_key_may(file: Path) -> None:
    write(
        file,
        "# keys",
        "",
        f"shop:search:shoes,bags:{A} # of the shop",
        f"pim:ingest,search:*:{B}",
        f"old:{hashed('c')}",
    )
    assert keys_file.read(file) == [
        Key("old", ALL, None, hashed("c")),
        Key("pim", frozenset({Scope.INGEST, Scope.SEARCH}), None, B),
        Key("shop", frozenset({Scope.SEARCH}), frozenset({"shoes", "bags"}), A),
    ]
    assert keys_file.read(file) == Keyring.load(file).entries()


def test_a_key_is_known_by_its_secret_alone(file: Path) -> None:
    ring = Keyring.load(write(file, f"shop:search:*:{A}", f"pim:ingest:*:{B}"))
    assert names(ring, "a", "b", "c", "", A, "\udcff") == ["shop", "pim", *[None] * 4]


@pytest.mark.parametrize("scopes", [["search"], ["ingest", "search"], ["admin"]])
@pytest.mark.parametrize("catalogs", [None, ["shoes"], ["bags", "shoes"]])
def test_a_key_reads_as_it_is_written(file: Path, scopes: list[str], catalogs: list[str] | None) -> None:
    key, secret = new_key("shop", scopes, catalogs)
    keys_file.add(file, key)
    assert (keys_file.read(file), Keyring.load(file).find(secret)) == ([key], key)
    assert secret not in file.read_text() and secret not in repr(key) and secret not in str(key)


@pytest.mark.parametrize(
    ("scopes", "asked", "may"),
    [
        (["search"], ["search"], True),
        (["search"], ["ingest"], False),
        (["search"], ["admin"], False),
        (["ingest"], ["search", "ingest"], True),
        (["ingest", "search"], ["admin"], False),
        (["admin"], ["search"], True),
        (["admin"], ["admin"], True),
    ],
)
def test_a_scope_opens_what_it_is_for_and_admin_all(scopes: list[str], asked: list[str], may: bool) -> None:
    key, _ = new_key("shop", scopes)
    assert key.may([Scope(each) for each in asked]) is may


def test_a_key_reaches_its_catalogs_and_no_others() -> None:
    shoes, every = new_key("shop", ["search"], ["shoes"])[0], new_key("all", ["search"])[0]
    assert [shoes.reaches(name) for name in ("shoes", "bags", "shoes2", "", "*")] == [True, *[False] * 4]
    assert every.reaches("shoes") and every.reaches("bags")


@pytest.mark.parametrize("name", ["", "a:b", "a b", "a" * 65, "ä", "a\n", "#a"])
def test_a_name_that_would_break_a_line_is_refused(name: str) -> None:
    with pytest.raises(InvalidInput):
        new_key(name, ["search"])


def test_a_key_for_nothing_is_refused() -> None:
    for scopes, catalogs in ((["all"], None), ([], None), (["search"], [])):
        with pytest.raises(InvalidInput):
            new_key("shop", scopes, catalogs)
    for catalog in ("*", "a,b", "a:b", "", "Shoes"):
        with pytest.raises(InvalidCatalog):
            new_key("shop", ["search"], [catalog])


@pytest.mark.parametrize(
    ("lines", "says"),
    [
        ([], "holds none"),
        (["# nothing"], "holds none"),
        (["shop"], "line 1"),
        (["", f"shop {A}"], "line 2"),
        ([f"shop:{A.upper()}"], "line 1"),
        ([f"shop:{A[:63]}"], "line 1"),
        ([f"the shop:{A}"], "line 1"),
        ([f":{A}"], "line 1"),
        ([f"shop:{A}", f"shop:search:*:{B}"], "line 2"),
        (["shop:lk_plain_key"], "line 1"),
        ([f"shop:search:{A}"], "line 1"),
        ([f"shop:all:*:{A}"], "line 1"),
        ([f"shop::*:{A}"], "line 1"),
        ([f"shop:search::{A}"], "line 1"),
        ([f"shop:search:shoes,*:{A}"], "line 1"),
        ([f"shop:search:../shoes:{A}"], "line 1"),
        ([f"shop:search:*:*:{A}"], "line 1"),
    ],
)
def test_a_file_that_is_none_is_refused_with_its_line(file: Path, lines: list[str], says: str) -> None:
    with pytest.raises(InvalidSetting) as refused:
        Keyring.load(write(file, *lines))
    assert says in str(refused.value) and str(file) in str(refused.value)
    assert "plain_key" not in str(refused.value)


@pytest.mark.parametrize("content", [None, b"\xff\xfe"])
def test_a_file_that_cannot_be_read_is_refused(file: Path, content: bytes | None) -> None:
    if content:
        file.write_bytes(content)
    with pytest.raises(InvalidSetting):
        Keyring.load(file)


def test_keys_come_and_go_with_the_file(file: Path) -> None:
    ring = Keyring.load(write(file, f"a:{A}"))
    write(file, f"a:{A}", f"b:search:*:{B}")
    assert names(ring, "a", "b") == ["a", "b"]
    write(file, f"b:search:*:{B}")
    assert names(ring, "a", "b") == [None, "b"]
    write(file)  # all are revoked
    assert names(ring, "b") == [None]


def test_what_is_changed_counts_at_once(file: Path) -> None:
    one, first = new_key("one", ["search"])
    two, second = new_key("two", ["ingest"], ["shoes"])
    keys_file.add(file, one)
    ring = Keyring.load(file)
    keys_file.add(file, two)
    assert (ring.find(first), ring.find(second)) == (one, two)
    turned, third = keys_file.rotate(file, "two")
    assert (turned.name, turned.scopes, turned.catalogs) == (two.name, two.scopes, two.catalogs)
    assert (ring.find(second), ring.find(third)) == (None, turned)
    assert keys_file.revoke(file, "one") == one
    assert (ring.find(first), ring.entries()) == (None, [turned])


def test_while_the_file_is_broken_or_away_the_keys_stay(file: Path) -> None:
    ring = Keyring.load(write(file, f"a:{A}"))
    write(file, f"a:{A}", "b:half a li")
    assert names(ring, "a", "b") == ["a", None]
    file.unlink()
    assert names(ring, "a") == ["a"]
    write(file, f"b:{B}")
    assert names(ring, "a", "b") == [None, "b"]


def test_what_else_a_file_holds_stays(file: Path) -> None:
    file.write_text(f"# ours\n\nold:{A}  # the first\npim:ingest:*:{B} # nightly")
    file.chmod(0o640)
    key, _ = new_key("shop", ["search"])
    keys_file.add(file, key)
    assert file.read_text() == f"# ours\n\nold:{A}  # the first\npim:ingest:*:{B} # nightly\n{key}\n"
    turned, _ = keys_file.rotate(file, "pim")
    keys_file.revoke(file, "shop")
    assert file.read_text() == f"# ours\n\nold:{A}  # the first\n{turned} # nightly\n"
    assert stat.S_IMODE(file.stat().st_mode) == 0o640 and list(file.parent.iterdir()) == [file]


def test_a_new_file_is_its_owners(file: Path) -> None:
    keys_file.add(file, new_key("shop", ["search"])[0])
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_what_cannot_be_done_changes_nothing(file: Path) -> None:
    key, _ = new_key("shop", ["search"])
    keys_file.add(file, key)
    before = file.read_text()
    with pytest.raises(KeyExists, match="shop"):
        keys_file.add(file, new_key("shop", ["admin"])[0])
    for change in (keys_file.revoke, keys_file.rotate):
        with pytest.raises(KeyNotFound, match="pim"):
            change(file, "pim")
    assert file.read_text() == before
    file.write_text("no key\n")
    for attempt in (lambda: keys_file.add(file, key), lambda: keys_file.revoke(file, "shop")):
        with pytest.raises(InvalidSetting, match="line 1"):
            attempt()
    assert file.read_text() == "no key\n"


@pytest.mark.parametrize("where", ["no/where", "."])
def test_a_file_that_cannot_be_is_refused(tmp_path: Path, where: str) -> None:
    with pytest.raises(InvalidSetting):
        keys_file.add(tmp_path / where, new_key("shop", ["search"])[0])
    for change in (keys_file.revoke, keys_file.rotate):
        with pytest.raises(InvalidSetting):
            change(tmp_path / "none", "shop")
    assert not (tmp_path / "none").exists()


def _adds(file: Path, start: int) -> None:
    for number in range(start, start + 25):
        keys_file.add(file, new_key(f"key{number}", ["search"])[0])


def test_processes_that_change_it_at_once_lose_nothing(file: Path) -> None:
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=_adds, args=(file, 100 * each)) for each in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
        assert process.exitcode == 0
    expected = sorted(f"key{100 * each + number}" for each in range(3) for number in range(25))
    assert [key.name for key in keys_file.read(file)] == expected
