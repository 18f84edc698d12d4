"""The Qdrant server that is away, slow, old, locked or somebody else's; and the catalogs on it."""

import json
import os
import subprocess
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import pytest
from indexes import QDRANT_URL, SERVER, collections, new_client, new_spec
from proxy import Proxy
from qdrant_client import models

from services.descriptions import AttributeKind
from services.errors import (
    CatalogNotFound,
    DataCorrupt,
    IndexRefused,
    IndexUnavailable,
    IndexUnsupported,
    InvalidCatalog,
)
from services.index.client import Client
from services.index.collections import Collections
from services.index.scan import FULL_SCAN_KB
from services.index.server import ServerIndex
from services.index.twin import QdrantTwin
from services.query.filters import parse
from services.records import Point, Tombstone

ROOT = Path(__file__).parents[3]
LOOK = np.array([1, 0, 0, 0], np.float32)


@pytest.fixture
def proxy(twin_url: str) -> Iterator[Proxy]:
    with Proxy(("127.0.0.1", urlsplit(twin_url).port or 0)) as proxy:
        yield proxy


@pytest.fixture
def behind(proxy: Proxy, twin_url: str) -> Iterator[ServerIndex]:
    """An index of four dimensions with one product, reached through the proxy."""
    spec = new_spec(4)
    with collections(twin_url) as direct:
        direct.create(spec)
        direct.index(spec).upsert([Point("shoe", 1, LOOK)])
        client = Client(f"http://127.0.0.1:{proxy.port}", timeout=1)
        yield Collections(client, prefix="lookalike-test").index(spec)
        client.close()


@pytest.fixture(params=["twin", SERVER])
def url(request: pytest.FixtureRequest, twin_url: str) -> str:
    """Where a Qdrant is that other tests use, too."""
    return twin_url if request.param == "twin" else QDRANT_URL


@pytest.fixture
def server(url: str) -> Iterator[Collections]:
    with collections(url) as found:
        yield found


def test_a_connection_that_is_reset_is_made_again(behind: ServerIndex, proxy: Proxy) -> None:
    assert behind.count() == 1
    proxy.reset()
    assert behind.count() == 1
    proxy.cut = b"/points/count"
    assert (behind.count(), proxy.cuts) == (1, 1)


def test_a_write_whose_answer_is_lost_is_written_once(behind: ServerIndex, proxy: Proxy, twin_url: str) -> None:
    proxy.cut_after = b"PUT /collections/lookalike-test"
    assert behind.upsert([Point("hat", 2, LOOK), Point("shoe", 1, LOOK)]) == [True, True]
    assert (proxy.cuts, behind.count(), behind.versions(["hat", "shoe"])) == (1, 2, [2, 1])


def test_a_server_that_is_away_is_named_soon_and_used_when_it_is_back(behind: ServerIndex, proxy: Proxy) -> None:
    proxy.down()
    started = time.monotonic()
    with pytest.raises(IndexUnavailable, match=r"^Qdrant, which keeps the vectors, does not answer \(ConnectError\);"):
        behind.count()
    assert time.monotonic() - started < 30
    proxy.up()
    assert behind.count() == 1


def test_a_server_that_is_silent_is_given_up_and_not_asked_again(behind: ServerIndex, proxy: Proxy) -> None:
    assert behind.count() == 1
    proxy.silent, before = True, proxy.connections
    with pytest.raises(IndexUnavailable, match=r"\(ReadTimeout\)"):
        behind.search(LOOK)
    assert proxy.connections == before  # a second attempt would need another one
    proxy.silent = False
    proxy.reset()
    assert [each.product_id for each in behind.search(LOOK)] == ["shoe"]


def test_an_older_server_is_refused_naming_its_version() -> None:
    with QdrantTwin(version="1.17.4") as old:
        index = Collections(Client(old.url), prefix="x").index(new_spec(4))
        with pytest.raises(IndexUnsupported, match=r"is version 1\.17\.4; take 1\.18 or newer\.$"):
            index.count()


@pytest.mark.parametrize("version", ["1.18.0", "1.20.3-dev", "2.0.0"])
def test_newer_servers_are_used(version: str) -> None:
    with QdrantTwin(version=version) as twin, collections(twin.url) as found:
        assert found.catalogs() == []


def test_a_key_is_asked_for_and_sent() -> None:
    with QdrantTwin(api_key="right") as twin:
        for key in ("", "wrong"):
            with pytest.raises(IndexUnavailable, match="refuses the key in LOOKALIKE_QDRANT_API_KEY"):
                Collections(Client(twin.url, api_key=key), prefix="x").check()
        Collections(Client(twin.url, api_key="right"), prefix="x").check()


def test_no_sentence_tells_where_the_server_is() -> None:
    with QdrantTwin(version="1.2.3") as twin:
        clients = [Client(twin.url), Client("http://127.0.0.1:9", timeout=1)]
        for client in clients:
            with pytest.raises(IndexUnavailable) as raised:
                client.call("get_aliases")
            assert "127.0.0.1" not in str(raised.value)


def test_a_description_comes_back_whole(server: Collections) -> None:
    spec = new_spec(
        4,
        fingerprint="stub/1",
        quantization="turbo",
        indexed_attributes={"color": AttributeKind.KEYWORD, 'size."a b"': AttributeKind.FLOAT},
    )
    server.create(spec)
    assert (server.catalog(spec.name), server.has_catalog(spec.name), server.has_catalog("none")) == (spec, True, False)
    assert [each for each in server.catalogs() if each.name == spec.name] == [spec]
    changed = replace(spec, fingerprint="stub/2", weights="random:2")
    server.save(changed)
    server.index(spec).declare({"stock": AttributeKind.INTEGER})
    assert server.catalog(spec.name) == replace(
        changed, indexed_attributes=spec.indexed_attributes | {"stock": AttributeKind.INTEGER}
    )


def test_an_attribute_that_the_index_leaves_out_is_declared_all_the_same(server: Collections) -> None:
    spec = new_spec(4, fingerprint="stub/1")
    server.create(spec)
    index = server.index(spec)
    index.upsert([Point("shoe", 1, LOOK, attributes={"color": 7})])
    declared = replace(spec, indexed_attributes={"color": AttributeKind.KEYWORD, "sale": AttributeKind.BOOL})
    server.save(declared)
    assert [*index.declare(declared.indexed_attributes)] == ["color"]
    assert (server.catalog(spec.name), [*index._fields.read()]) == (declared, ["sale"])


def test_a_catalog_whose_encoder_is_not_known_yet_stays_readable(server: Collections) -> None:
    """For Qdrant null is a wish to remove what is there."""
    spec = new_spec(4, indexed_attributes={"color": AttributeKind.KEYWORD})
    server.create(spec)
    server.save(replace(spec, weights="random:2"))
    assert server.catalog(spec.name) == replace(spec, weights="random:2")
    server.save(replace(spec, fingerprint="stub/1"))
    assert server.catalog(spec.name).fingerprint == "stub/1"
    server.remove(spec.name)
    assert not server.has_catalog(spec.name)


def test_a_catalog_whose_making_was_answered_in_vain_is_made(proxy: Proxy) -> None:
    spec = new_spec(4)
    proxy.cut_after = f"PUT /collections/lookalike-test.{spec.name}.{spec.generation}?".encode()
    with collections(f"http://127.0.0.1:{proxy.port}") as found:
        found.create(spec)
        assert (proxy.cuts, found.catalog(spec.name)) == (1, spec)


def test_what_the_server_refuses_is_not_tried_again(server: Collections) -> None:
    spec = new_spec(4)
    server.create(spec)
    point = models.PointStruct(id=1, vector={"image": [1.0, 2.0]}, payload={})
    with pytest.raises(IndexRefused, match=r"refuses the request \(400"):
        server._client.call("upsert", f"lookalike-test.{spec.name}.{spec.generation}", [point])


def test_making_a_catalog_goes_on_where_it_stopped(server: Collections, url: str) -> None:
    spec = new_spec(4)
    client = new_client(url)
    name = f"lookalike-test.{spec.name}.{spec.generation}"
    with QdrantTwin() as elsewhere, collections(elsewhere.url) as other:
        other.create(spec)
        metadata = Client(elsewhere.url).call("get_collection", name).config.metadata
    vectors = {"image": models.VectorParams(size=4, distance=models.Distance.COSINE)}
    client.call("create_collection", name, vectors, metadata=metadata)
    with pytest.raises(CatalogNotFound):
        server.catalog(spec.name)
    server.create(spec)
    assert server.catalog(spec.name) == spec


def test_a_removed_catalog_is_gone_and_its_successor_is_another(server: Collections) -> None:
    spec = new_spec(4)
    server.create(spec)
    before = server.index(spec)
    before.upsert([Point("shoe", 1, LOOK)])
    server.remove(spec.name)
    with pytest.raises(CatalogNotFound):
        server.catalog(spec.name)
    successor = new_spec(4, name=spec.name)
    server.create(successor)
    for call in (lambda: before.upsert([Tombstone("shoe", 2, 1.0)]), before.count, lambda: before.get(["shoe"])):
        with pytest.raises(CatalogNotFound, match="removed"):
            call()
    assert (server.catalog(spec.name), server.index(successor).count()) == (successor, 0)
    with pytest.raises(CatalogNotFound):
        server.remove("none")


def test_collections_of_others_are_left_alone(server: Collections, url: str) -> None:
    client, vectors = new_client(url), models.VectorParams(size=4, distance=models.Distance.COSINE)
    spec = new_spec(4)
    foreign = f"lookalike-test.{spec.name}"
    client.call("create_collection", f"lookalike-test-theirs.{spec.name}", vectors)
    for alias in (f"lookalike-test-other.{spec.name}", f"lookalike-test.{spec.name}.{spec.generation}"):
        add = models.CreateAlias(collection_name=f"lookalike-test-theirs.{spec.name}", alias_name=alias)
        client.call("update_collection_aliases", [models.CreateAliasOperation(create_alias=add)])
    assert spec.name not in [each.name for each in server.catalogs()]
    add = models.CreateAlias(collection_name=f"lookalike-test-theirs.{spec.name}", alias_name=foreign)
    client.call("update_collection_aliases", [models.CreateAliasOperation(create_alias=add)])
    with pytest.raises(DataCorrupt, match=f"lookalike-test-theirs.{spec.name} in Qdrant was not made by Lookalike"):
        server.catalog(spec.name)
    client.call("delete_collection", f"lookalike-test-theirs.{spec.name}")


@pytest.mark.parametrize("name", ["", "A", "a.b", "../x"])
def test_a_name_that_is_none_is_refused(server: Collections, name: str) -> None:
    for call in (server.catalog, server.has_catalog, server.remove):
        with pytest.raises(InvalidCatalog):
            call(name)


def test_the_twin_keeps_what_it_has_answered(tmp_path: Path) -> None:
    spec = new_spec(4, indexed_attributes={"color": AttributeKind.KEYWORD})
    points = [Point("shoe", 3, LOOK, 2.5, {"color": "red"}, "ab" * 32), Point("hat", 4, LOOK)]
    with QdrantTwin(tmp_path) as twin:
        found = Collections(Client(twin.url), prefix="x")
        found.create(spec)
        found.index(spec).upsert([*points, Tombstone("bag", 5, 7.0)])
    with QdrantTwin(tmp_path) as twin:
        found = Collections(Client(twin.url), prefix="x")
        assert found.catalogs() == [spec]
        index = found.index(spec)
        assert (index.get(["shoe", "hat", "bag"]), index.max_version()) == ([*points, None], 5)
        assert index.facets("color")[0].count == 1


def test_the_server_is_asked_for_copies_order_and_what_searches_need() -> None:
    """Local mode knows nothing of these, so what is asked is looked at."""
    asked: list[tuple[str, str, Any]] = []

    def observe(method: str, target: str, body: bytes) -> None:
        asked.append((method, target, json.loads(body) if body else None))

    def of(method: str, end: str) -> list[tuple[str, Any]]:
        return [(target, body) for verb, target, body in asked if verb == method and end in target]

    with QdrantTwin(observe=observe) as twin:
        found = Collections(Client(twin.url), prefix="x", shards=3, replicas=2, write_consistency=2)
        spec = new_spec(4, quantization="turbo")
        found.create(spec)
        [(_, made)] = of("PUT", f"/collections/x.{spec.name}.{spec.generation}?")
        wanted = {"shard_number": 3, "replication_factor": 2, "write_consistency_factor": 2}
        assert {name: made[name] for name in wanted} == wanted
        assert made["vectors"]["image"]["hnsw_config"] == {"full_scan_threshold": 64_000}
        index = found.index(spec)
        assert index.upsert([Point(str(n), 1, LOOK) for n in range(300)]) == [True] * 300
        writes = of("PUT", "/points?")
        assert [len(body["points"]) for _, body in writes] == [250, 50]
        assert all("wait=true" in target and "ordering=medium" in target for target, _ in writes)
        reads = [
            target for method, target, _ in asked if method == "POST" and target.partition("?")[0].endswith("points")
        ]
        assert len(reads) == 1 and "consistency=majority" in reads[0]
        index.search(LOOK)
        [(_, search)] = of("POST", "/points/query")
        rescored = {"rescore": True, "oversampling": 4.0}
        assert search["params"] == {"quantization": rescored}
        asked.clear()
        index.search(LOOK, filter=parse({"must": {"key": "price", "range": {"lt": 5}}}))
        # One request: how many pass is for the server to estimate, and to choose between a scan and its graph.
        [(_, _, search)] = asked
        acorn = {"enable": True, "max_selectivity": 1.0}
        assert search["params"] == {"hnsw_ef": 256, "quantization": rescored, "acorn": acorn}
        index.purge([Tombstone("0", 1, 1.0)])
        [(target, _)] = of("POST", "/points/delete")
        assert "wait=true" in target and "ordering=medium" in target


def test_each_quantization_is_asked_of_the_server(url: str) -> None:
    for quantization, asked in {"none": None, "scalar": "scalar", "turbo": "turbo"}.items():
        with collections(url, shards=3, replicas=2, write_consistency=2) as found:
            spec: Any = new_spec(4, quantization=quantization)
            found.create(spec)
            params = found._client.call("get_collection", f"lookalike-test.{spec.name}").config.params
            vectors = params.vectors["image"]
            config = vectors.quantization_config
            assert (config and next(iter(config.model_dump()))) == asked
            assert vectors.on_disk is (asked is not None)
            assert vectors.hnsw_config.full_scan_threshold == FULL_SCAN_KB[quantization]


@pytest.mark.long
def test_make_test_server_tests_the_server_that_it_is_given() -> None:
    def make(*variables: str) -> subprocess.CompletedProcess[str]:
        # Where make runs the tests it has told them that it does.
        ours = ("QDRANT_", "MAKE", "MFLAGS")
        environment = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
        # One of its files tells whether it asks the right server with the right key.
        others = [file for file in Path(__file__).parent.glob("test_*.py") if file.name != "test_vector_index.py"]
        environment["PYTEST_ADDOPTS"] = " ".join(["--maxfail=1", *(f"--ignore={file}" for file in others)])
        # Not the environment anew: these tests run in it, and it is older than a pyproject.toml that was edited.
        command = ["make", "--assume-old=.venv/.installed", "test-server", *variables]
        return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=900)

    with QdrantTwin(api_key="right") as twin:
        made = make(f"QDRANT_URL={twin.url}", "QDRANT_API_KEY=right")
        assert (made.returncode, "skipped" in made.stdout) == (0, False), made.stdout
        refused = make(f"QDRANT_URL={twin.url}", "QDRANT_API_KEY=wrong")
        assert refused.returncode and "refuses the key in LOOKALIKE_QDRANT_API_KEY" in refused.stdout
    without = make()
    assert without.returncode and without.stdout.startswith(
        "Name the Qdrant to test with: make test-server QDRANT_URL="
    )
