"""What a catalog keeps besides its vectors goes with it: into a backup and out of it, to another place, and away."""

import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from services import bootstrap, settings
from services.backup.members import END, ORIGINAL, Packer, unpacked, verified
from services.backup.packing import backup
from services.backup.unpacking import restore
from services.catalog.catalog import Catalog
from services.catalog.definition import Definition, Side
from services.catalog.generations import Generations
from services.catalog.opening import new_spec
from services.descriptions import AttributeKind, Finding
from services.errors import DataCorrupt, DecisionsNotFound, FindingNotFound
from services.index.twin import QdrantTwin
from services.query.filters import parse
from services.query.query import Query
from services.query.terms import DirectionTerm, ProductTerm, Term
from services.records import Change, State
from services.settings import Settings
from services.testing import load_stub, picture
from workers.media_gc import collect

Run = Callable[..., tuple[int, dict[str, Any]]]
COUNT = 40
LOW = {"must": [{"key": "n", "range": {"lt": 20}}]}


def image(number: int) -> bytes:
    return picture((6 * number, 240 - 6 * number, 90), number, size=16)


@contextmanager
def opened(configured: Settings) -> Iterator[Catalog]:
    with bootstrap.catalogs(configured, load=load_stub) as catalogs:
        yield catalogs.get("shoes")


@pytest.fixture(scope="module")
def stocked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder with a catalog of tuned features, their space, a direction, a finding and decisions; its head
    generation is beside it."""
    data = tmp_path_factory.mktemp("stocked")
    with bootstrap.catalogs(settings.load(data=data, decode_processes=1), load=load_stub) as catalogs:
        shoes = catalogs.create(new_spec("shoes", "efficientnet_lite0", "random:1", "nearest"))
        shoes.declare({"n": AttributeKind.INTEGER})
        shoes.apply([Change(f"p{n}", image=image(n), attributes={"n": n}) for n in range(COUNT)])
        Generations(catalogs, "shoes", fewest=COUNT).reindex({"features": "tuned"}, promote=True)
        shoes = catalogs.get("shoes")
        assert shoes.space.now() is not None
        shoes.directions.learn("low", Definition(Side(parse(LOW))))
        shoes.findings.keep(Finding("map", "", shoes.spec.fingerprint, COUNT, 7, "2026-01-01T00:00:00Z"), b"a map")
        shoes.findings.decide(lambda _: b"decided")
    return data


@pytest.fixture
def data(stocked: Path, tmp_path: Path) -> Path:
    """The same, for one test, which may change it."""
    return Path(shutil.copytree(stocked, tmp_path / "data"))


def kept(catalog: Catalog) -> dict[str, Any]:
    """All that a catalog keeps besides its products: what is added to a description has to be added here."""
    spec = replace(catalog.spec, generation="", generation_created_at=None, generations=())
    objects = {each: catalog._intake.media.read_object(each) for each in spec.objects}
    assert spec.learned and spec.space and [each.name for each in spec.directions] == ["low"] and len(objects) == 5
    [finding] = catalog.findings.all()
    assert (catalog.findings.read(finding), catalog.findings.decisions()) == (b"a map", b"decided")
    return {"spec": spec, "objects": objects}


def found(catalog: Catalog) -> list[Any]:
    """What searches find that need everything: a picture's features, which are made here, its colors, percentiles, and
    a direction."""
    asked = [catalog.search_image(image(n), limit=COUNT, color_weight=3) for n in (1, 5)]
    asked.append(
        catalog.query(Query(near=(Term(ProductTerm("p30")), Term(DirectionTerm("low"))), limit=COUNT)).neighbors
    )
    assert all(each.percentile is not None for answer in asked for each in answer)
    assert catalog.apply([Change("p1", image=image(1))])[0].state is State.UNCHANGED
    return [{each.product_id: each.score for each in answer} for answer in asked]


def assert_whole(configured: Settings, expected: tuple[dict[str, Any], list[Any]]) -> None:
    with opened(configured) as catalog:
        assert kept(catalog) == expected[0]
        for answer, other in zip(found(catalog), expected[1], strict=True):
            assert answer == pytest.approx(other, abs=1e-5)


class NoLedger:
    """Of a catalog to which nobody sends changes."""

    def unfinished(self, _: str) -> Iterator[Any]:
        return iter(())

    def images(self) -> Iterator[str]:
        return iter(())

    def introduce(self, *_: object) -> None:
        """Nobody is to know of it."""


def test_it_comes_back_out_of_a_backup(run: Run, data: Path, tmp_path: Path) -> None:
    _, told = run("backup", tmp_path / "backups", "--data", data)
    with opened(settings.load(data=data)) as catalog:
        expected = kept(catalog), found(catalog)
    for _ in range(2):
        assert run("restore", told["file"], "--data", tmp_path / "again")[0] == 0
    assert_whole(settings.load(data=tmp_path / "again"), expected)


def test_what_was_removed_comes_back_out_of_a_backup(run: Run, data: Path, tmp_path: Path) -> None:
    _, told = run("backup", tmp_path / "backups", "--data", data)
    with opened(settings.load(data=data)) as catalog:
        expected = kept(catalog), found(catalog)
        catalog.directions.remove("low")
        catalog.findings.remove("map")
        catalog.findings.decide(lambda _: None)
        assert (catalog.directions.all(), catalog.findings.all(), catalog.findings.decisions()) == ((), (), None)
    assert run("restore", told["file"], "--data", data)[0] == 0
    assert_whole(settings.load(data=data), expected)


def test_what_is_lost_is_named_where_it_cannot_be_copied(
    run: Run, refused: Callable[..., str], data: Path, tmp_path: Path
) -> None:
    with opened(settings.load(data=data)) as catalog:
        spec = catalog.spec
    for hash in (spec.directions[0].object, spec.findings[0].object, spec.decisions, spec.space):
        [file] = data.glob(f"media/objects/*/*/{hash}")
        file.unlink()
    commands = (
        ("backup", tmp_path, "--data", data),
        ("migrate", "--catalog", "shoes", "--data", data, "--to", tmp_path / "there"),
    )
    for command in commands:
        assert "direction low of catalog shoes" in refused("direction_not_found", *command)
    with opened(settings.load(data=data)) as catalog:
        catalog.directions.remove("low")
        with pytest.raises(DecisionsNotFound, match="duplicates of catalog shoes is not in media"):
            catalog.findings.decisions()
    for command in commands:
        assert "duplicates of catalog shoes" in refused("decisions_not_found", *command)
    with opened(settings.load(data=data)) as catalog:
        # The space and findings are made anew, so that they are lost is no loss.
        assert catalog.space.now() is not None and catalog.spec.space == spec.space
        assert catalog.findings.find("map") is None
        with pytest.raises(FindingNotFound, match="have it looked for anew"):
            catalog.findings.read(spec.findings[0])
    # Decisions are none that can be made anew, so whoever has lost them says that they are to be forgotten.
    assert run("duplicates", "forget", "--catalog", "shoes", "--data", data)[0] == 0
    assert run(*commands[0])[0] == 0


@pytest.mark.long
def test_it_goes_to_a_server_and_back(run: Run, data: Path, tmp_path: Path) -> None:
    with opened(settings.load(data=data)) as catalog:
        expected = kept(catalog), found(catalog)
    with QdrantTwin() as twin:
        assert run("migrate", "--catalog", "shoes", "--data", data, "--to", twin.url)[0] == 0
        assert_whole(settings.load(data=data, qdrant_url=twin.url), expected)
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("LOOKALIKE_QDRANT_URL", twin.url)
            assert run("migrate", "--catalog", "shoes", "--data", data, "--to", tmp_path / "back")[0] == 0
    assert_whole(settings.load(data=tmp_path / "back"), expected)


def test_each_stays_as_long_as_something_names_it_and_goes_then(data: Path) -> None:
    chores: Any = NoLedger()
    with bootstrap.catalogs(settings.load(data=data), load=load_stub) as catalogs:
        spec = catalogs.get("shoes").spec
        media, generations = catalogs.intake.media, Generations(catalogs, "shoes", fewest=COUNT)

        def there() -> set[str]:
            return {path.name for path in (data / "media" / "objects").glob("*/*/*")}

        other = media.put_object(b"what no catalog names")
        collect(chores, catalogs, older=-60)
        assert there() == {*spec.objects} and other not in there()
        generations.rollback()
        collect(chores, catalogs, older=-60)
        assert there() == {*spec.objects}
        generations.drop(generations.all()[1].id)
        collect(chores, catalogs, older=-60)
        assert there() == {spec.directions[0].object, spec.findings[0].object, spec.decisions}
        catalogs.create(new_spec("hats", "efficientnet_lite0", "random:1", "nearest"))
        catalogs.remove("shoes")
        collect(chores, catalogs, older=-60)
        assert there() == set()


def test_a_direction_goes_along_to_another_generation_and_back(data: Path) -> None:
    with bootstrap.catalogs(settings.load(data=data), load=load_stub) as catalogs:
        before = catalogs.get("shoes").spec.directions[0]
        Generations(catalogs, "shoes").rollback()
        shoes = catalogs.get("shoes")
        ahead = Query(near=(Term(DirectionTerm("low")),), limit=10)
        numbers = [each.attributes["n"] for each in shoes.query(ahead).neighbors]
        [after] = shoes.spec.directions
        assert max(numbers) < 20 and after.fingerprint == shoes.spec.fingerprint != before.fingerprint
        assert (after.name, after.created_at) == (before.name, before.created_at)
        assert shoes.space.now() is not None and shoes.spec.space is not None


def test_a_description_that_does_not_say_what_was_learned_is_damaged(data: Path) -> None:
    file = data / "catalogs" / "shoes" / "catalog.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"learned": None}))
    with pytest.raises(DataCorrupt, match="it is damaged; restore a backup"), opened(settings.load(data=data)):
        pass


def test_a_backup_without_it_is_none(run: Run, refused: Callable[..., str], data: Path, tmp_path: Path) -> None:
    whole = Path(run("backup", tmp_path / "backups", "--data", data)[1]["file"])
    members = list(unpacked(whole))
    [manifest] = [json.loads(content) for name, content in members if name.startswith("manifest")]
    [entry], hashes = manifest["catalogs"], manifest["members"]
    others = {name: hash for name, hash in hashes.items() if name != f"objects/{entry['learned']}"}
    aimless = {name: hash for name, hash in hashes.items() if name != f"objects/{entry['directions'][0]['object']}"}
    undecided = {name: hash for name, hash in hashes.items() if name != f"objects/{entry['decisions']}"}
    wrong = {
        "lacks what the features or a direction of catalog shoes have learned, or its decisions": manifest
        | {"members": others},
        "lacks what the features or a direction": manifest | {"members": aimless},
        "have learned, or its decisions": manifest | {"members": undecided},
        "tuned features, and no others": manifest | {"catalogs": [entry | {"learned": None}]},
        "and no others": manifest | {"catalogs": [entry | {"features": "head"}]},
    }
    for message, told in wrong.items():
        packer = Packer(0)
        parts = []
        for name, content in members:
            if name in told["members"]:
                parts += packer.add(name, content)
            elif ORIGINAL.fullmatch(name):
                parts += packer.add_original(name.rpartition("/")[2], content)
        content = json.dumps(told).encode()
        parts += packer._member(f"manifest-{sha256(content).hexdigest()}.json", content)
        file = tmp_path / "wrong.tar"
        file.write_bytes(b"".join(parts) + END)
        assert message in refused("source_invalid", "restore", file, "--data", tmp_path / "nowhere")
    [learned] = (data / "media" / "objects").glob(f"*/*/{entry['learned']}")
    learned.unlink()
    assert "Catalog shoes cannot be backed up" in refused("features_not_found", "backup", tmp_path, "--data", data)


def test_a_copy_takes_no_vectors_of_another_generation(
    run: Run, refused: Callable[..., str], data: Path, tmp_path: Path
) -> None:
    backup = run("backup", tmp_path / "backups", "--data", data)[1]["file"]
    there = settings.load(data=tmp_path / "there")
    assert run("migrate", "--catalog", "shoes", "--data", data, "--to", there.data)[0] == 0
    with opened(there) as catalog:
        expected = kept(catalog), found(catalog)
    with bootstrap.catalogs(settings.load(data=data), load=load_stub) as catalogs:
        catalogs.get("shoes").apply([Change("new", image=picture((9, 99, 199), 3, size=16))])
        Generations(catalogs, "shoes", fewest=COUNT).reindex({"features": "tuned"}, promote=True)
    message = refused("encoder_mismatch", "migrate", "--catalog", "shoes", "--data", data, "--to", there.data)
    assert f"{expected[0]['spec'].learned}, and those that come are of" in message
    assert "remove it there" in refused("encoder_mismatch", "restore", backup, "--data", data)
    assert_whole(there, expected)


def test_nothing_is_begun_elsewhere_without_it(refused: Callable[..., str], data: Path, tmp_path: Path) -> None:
    with opened(settings.load(data=data)) as catalog:
        learned = catalog.spec.learned
    [file] = data.glob(f"media/objects/*/*/{learned}")
    file.unlink()
    refused("features_not_found", "migrate", "--catalog", "shoes", "--data", data, "--to", tmp_path / "there")
    with bootstrap.catalogs(settings.load(data=tmp_path / "there"), load=load_stub) as catalogs:
        assert catalogs.specs() == []


def test_a_backup_is_of_one_generation_whatever_becomes_the_live_one_meanwhile(data: Path, tmp_path: Path) -> None:
    ledger: Any = NoLedger()
    file = tmp_path / "backup.tar"
    with bootstrap.catalogs(settings.load(data=data), load=load_stub) as catalogs:
        expected = kept(catalogs.get("shoes")), found(catalogs.get("shoes"))
        with file.open("wb") as out:
            is_live = True
            for block in backup(catalogs, ledger):
                out.write(block)
                # The products have begun: the original of the first one is packed.
                if is_live and b"originals/" in block:
                    Generations(catalogs, "shoes", fewest=COUNT).rollback()
                    is_live = False
        assert catalogs.get("shoes").spec.features == "head"
    with bootstrap.catalogs(settings.load(data=tmp_path / "again"), load=load_stub) as catalogs:
        restore(file, verified(file), catalogs, ledger)
    assert_whole(settings.load(data=tmp_path / "again"), expected)
