"""What the API answers is what its OpenAPI document says, whatever is asked (schemathesis, all checks on)."""

import gzip
import io
import json
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import schemathesis
from backports import zstd
from flask import Flask, Response
from hypothesis import strategies as st
from PIL import Image
from schemathesis.config import SchemathesisConfig
from schemathesis.engine import events, from_schema
from waitress import create_server

from api.access.keyring import Keyring
from api.access.keys import hashed
from services.catalog.definition import Definition, Side
from services.catalog.generations import Generations
from services.records import Embedding

URLS = ["https://images.example.com/1.png", "https://images.example.com/none.png"]
CATALOG = "/v1/catalogs/{catalog}"
SEARCH = "/v1/catalogs/{catalog}/search"
FEED = CATALOG + "/products"
OF_GENERATIONS = [f"{CATALOG}/generations/{{generation}}/{name}" for name in ("compare", "behind")]
OF_DIRECTIONS = [f"{CATALOG}/directions/{{name}}", f"{CATALOG}/directions/{{name}}/axis"]
OF_MAPS = [f"{CATALOG}/map{path}" for path in ("", "/points", "/ids", "/attributes/{key}")]
DUPLICATES = f"{CATALOG}/duplicates"
DECISION = f"{DUPLICATES}/{{group}}/decision"
EVALUATE = CATALOG + "/evaluate"
OUTLIERS = CATALOG + "/outliers"
FACETS = CATALOG + "/facets"
PRODUCT = CATALOG + "/products/{product_id}"
OF_PRODUCTS = [f"{PRODUCT}{path}" for path in ("", "/image", "/thumbnail", "/neighbors", "/duplicates")]
TRUE = {(f"POST {CATALOG}/products/{name}", "allow_header_conformance") for name in ("delete", "read")}
"""What is found wrong and is not: these are also the paths of products of that name, with methods of their own."""


def config(examples: int, **more: Any) -> SchemathesisConfig:
    return SchemathesisConfig.from_dict(
        {
            "seed": 1,
            "dictionaries": {
                "catalogs": {"values": ["shoes"]},
                "products": {"values": ["sku-1", "sku-2"]},
                "jobs": {"values": ["1", "2"]},
                "waits": {"values": ["0", "0.5", "5"]},
                "on_error": {"values": ["skip"]},
                "codes": {"values": ["forbidden"]},
            },
            "parameters": {
                "path.catalog": {"dictionary": "catalogs", "probability": 0.9},
                "path.product_id": {"dictionary": "products", "probability": 0.6},
                "path.job": {"dictionary": "jobs", "probability": 0.6},
                "path.code": {"dictionary": "codes", "probability": 0.5},
                "query.wait": {"dictionary": "waits", "probability": 0.6},
                "query.on_error": {"dictionary": "on_error", "probability": 0.5},
            },
            "checks": {
                # What JSON schema cannot say: depths and bytes of attributes, what a cursor is, one of three fields,
                # and that the text of a parameter is JSON.
                "positive_data_acceptance": {
                    "expected-statuses": ["2xx", "304", "400", "403", "404", "409", "413", "422"],
                },
                # Posted changes are accepted, not made: a product may be deleted by one, or its image be refused later,
                # and a change of one that was deleted is refused where its version is known, after the 202.
                "ensure_resource_availability": {"enabled": False},
                "use_after_free": {"enabled": False},
            },
            "generation": {"max-examples": examples},
            **more,
        }
    )


def png() -> bytes:
    data = io.BytesIO()
    Image.new("RGB", (8, 8), "green").save(data, "PNG")
    return data.getvalue()


@pytest.fixture(scope="module", autouse=True)
def bodies() -> None:
    """What schemathesis cannot make by itself: images, and lines of JSON."""
    image = png()
    images = st.sampled_from([image, image[:40]]) | st.binary()
    for type in ("image/*", "application/octet-stream"):
        schemathesis.openapi.media_type(type, images)
    change = st.fixed_dictionaries(
        {"product_id": st.sampled_from(["sku-1", "a/b", ""]), "image_url": st.sampled_from([*URLS, "ftp://x"])},
        optional={
            "op": st.sampled_from(["put", "patch", "delete", "keep"]),
            "attributes": st.dictionaries(st.text(), st.text()),
        },
    )
    line = change.map(lambda value: json.dumps(value).encode()) | st.binary(max_size=20)
    for type in ("application/x-ndjson", "application/jsonl"):
        schemathesis.openapi.media_type(type, st.lists(line).map(b"\n".join))
    row = st.tuples(st.sampled_from(["sku-1", "a/b", ""]), st.sampled_from(URLS), st.text(max_size=9)).map(",".join)
    table = st.lists(row).map(lambda rows: "\n".join(["product_id,image_url,color", *rows]).encode(errors="replace"))
    schemathesis.openapi.media_type("text/csv", table | st.binary(max_size=40))


class Compressed:
    """WSGI: what schemathesis sends with a Content-Encoding is compressed so, before the app gets it. Answers are not
    compressed: schemathesis says that it takes that, and does not."""

    def __init__(self, app: Any) -> None:
        self._app = app
        self.requests = 0

    def __call__(self, environ: Any, start_response: Any) -> Any:
        environ.pop("HTTP_ACCEPT_ENCODING", None)
        pack = {"gzip": gzip.compress, "zstd": zstd.compress}.get(environ.get("HTTP_CONTENT_ENCODING"))
        if pack:
            body = pack(environ["wsgi.input"].read())
            environ |= {"wsgi.input": io.BytesIO(body), "CONTENT_LENGTH": str(len(body))}
            self.requests += 1
        return self._app(environ, start_response)


def stocked(service: Any, **headers: str) -> Any:
    client = service.client
    service.app.wsgi_app = Compressed(service.app.wsgi_app)
    kinds = {"color": "keyword", "price": "float"}
    client.put("/v1/catalogs/shoes", json={"indexed_attributes": kinds}, headers=headers)
    for number, color in enumerate(("red", "blue"), 1):
        image = {"data": service.picture(color), "content_type": "image/png"}
        client.put(f"/v1/catalogs/shoes/products/sku-{number}?wait=30", **image, headers=headers)
    service.web[URLS[0]] = service.picture("green")
    return service


def sent_as_it_is(context: Any, case: Any) -> bool:
    """A form has no lists: each item is sent as a part, so one of no or one item becomes a request that is right."""
    is_form = case.media_type == "multipart/form-data" and isinstance(case.body, dict)
    return not (is_form and any(isinstance(value, list) for value in case.body.values()))


def meant_to_fail(context: Any, case: Any) -> bool:
    """With on_error=skip a feed of wrong changes is right: they become failed items."""
    skips = (case.query or {}).get("on_error") == "skip"
    return not (skips and case.meta.generation.mode.is_negative)


def goes_together(context: Any, case: Any) -> bool:
    """What JSON schema cannot say of parameters: columns are those of CSV, and a share goes with mode=replace."""
    query = case.query or {}
    wrong = ("column" in query and case.media_type != "text/csv") or (
        "max_removed" in query and query.get("mode") != "replace"
    )
    return not wrong or case.meta.generation.mode.is_negative


def load(service: Any, config: SchemathesisConfig, **headers: str) -> Any:
    """Without the removal of catalogs, after which there would be nothing to ask about: it has a run of its own."""
    schema = schemathesis.openapi.from_wsgi("/openapi.json", service.app, config=config, headers=headers)
    for content in schema.raw_schema["paths"][FEED]["post"]["requestBody"]["content"].values():
        # Where bodies are made as `bodies` says, it takes no example that is text: test_examples.py sends them.
        if isinstance(content["example"], str):
            del content["example"]
    schema.hook("filter_case")(sent_as_it_is)
    schema.hook("filter_case")(meant_to_fail)
    schema.hook("filter_case")(goes_together)
    return schema.exclude(method="DELETE", path=CATALOG)


def run(schema: Any) -> tuple[list[str], Counter[tuple[str, int]]]:
    """What was found wrong, and how often each route answered with each status."""
    wrong: list[str] = []
    statuses: Counter[tuple[str, int]] = Counter()
    for event in from_schema(schema).execute():
        if isinstance(event, events.NonFatalError | events.FatalError):
            wrong.append(event.info.format())
        if not isinstance(event, events.ScenarioFinished):
            continue
        recorder = event.recorder
        for interaction in recorder.interactions.values():
            if interaction.response is not None:
                statuses[recorder.label, interaction.response.status_code] += 1
        wrong += [
            f"{recorder.label} {check.name}: {check.failure_info.failure}\n{check.failure_info.code_sample}"
            for checks in recorder.checks.values()
            for check in checks
            if check.failure_info and (recorder.label, check.name) not in TRUE
        ]
    return wrong, statuses


def answered_well(statuses: Counter[tuple[str, int]]) -> set[str]:
    return {label for label, status in statuses if status < 300}


def next_generation(service: Any) -> str:
    """The ID of a generation that is being built, by now at the latest."""
    if "shoes" not in {spec.name for spec in service.catalogs.specs()}:
        service.catalog("shoes")
    generations = Generations(service.catalogs, "shoes")
    for each in generations.all()[1:]:
        generations.drop(each.id)
    return generations.begin({"quantization": "scalar" if generations.all()[0].quantization == "none" else "none"}).id


def a_direction(service: Any) -> str:
    """The name of a direction that the catalog has."""
    catalog = service.catalogs.get("shoes")
    random = np.random.default_rng(1)
    features = np.abs(random.normal(1, 0.1, (24, catalog.spec.dim))).astype(np.float32)
    for _ in catalog.put_embeddings(Embedding(f"e{number}", row, {}) for number, row in enumerate(features)):
        pass
    sides = (Side(product_ids=tuple(f"e{number}" for number in range(at, 24, 2))) for at in (0, 1))
    catalog.directions.learn("even", Definition(*sides, force=True))
    return "even"


def test_outliers_are_as_described(service: Any) -> None:
    """Of a label and isolated ones, in a catalog that has some of either."""
    schema = schemathesis.openapi.from_wsgi("/openapi.json", service.app, config=config(10))
    catalog, parameters = service.catalogs.get("shoes"), {"catalog": "shoes"}
    features = np.abs(np.random.default_rng(2).normal(1, 0.1, (40, catalog.spec.dim))).astype(np.float32)
    features[::2, :300] *= 3
    kinds = ["ab"[row % 2 if row else 1] for row in range(40)]
    labeled = (Embedding(f"o{row}", each, {"kind": kinds[row]}) for row, each in enumerate(features))
    assert len([*catalog.put_embeddings(labeled)]) == 40
    for body, query in (({"label": "kind"}, {"label": "kind"}), ({"isolated": True}, {"isolated": "true"})):
        asked = schema[OUTLIERS]["PUT"].Case(path_parameters=parameters, media_type="application/json", body=body)
        assert asked.call_and_validate().status_code == 202
        catalog.outliers.look(body.get("label"))
        listed = schema[OUTLIERS]["GET"].Case(path_parameters=parameters, query=query).call_and_validate()
        assert listed.status_code == 200 and (listed.json()["outliers"] or "isolated" in body)


@pytest.mark.long
def test_no_answer_is_outside_the_schema(service: Any) -> None:
    # Thousands of filters are tried in the body of a search, by the next test; those of the other two routes are judged
    # by the same code.
    brief = [{"include-path-regex": "neighbors$|/products$", "include-method": "GET"}, {"include-path": SEARCH}]
    operations = [each | {"phases": {"coverage": {"enabled": False}}} for each in brief]
    schema = load(stocked(service), config(10, operations=operations))
    wrong, statuses = run(schema)
    assert not wrong, "\n\n".join(wrong)
    operations = {operation.ok().label for operation in schema.get_all_operations()}
    # Without keys there are none to tell of.
    operations = {label for label in operations if "/v1/keys" not in label} - {"POST /v1/session"}
    assert service.app.wsgi_app.requests > 10
    # Otherwise everything was refused, and nothing seen of what is answered. Few feeds and searches made at random are
    # right, and no ID of a generation, name of a direction, label or indexed attribute is.
    by_hand = {f"POST {FEED}", f"POST {EVALUATE}", f"POST {FACETS}", f"DELETE {OF_DIRECTIONS[0]}"}
    by_hand |= {f"GET {path}" for path in (*OF_GENERATIONS, *OF_DIRECTIONS, *OF_MAPS, OUTLIERS)} | {f"PUT {OUTLIERS}"}
    by_hand |= {f"GET {DUPLICATES}", f"POST {DECISION}", f"DELETE {DECISION}", f"POST {SEARCH}"}
    # Whether the products are still there when these are asked is chance, too.
    by_hand |= {f"GET {path}" for path in OF_PRODUCTS}
    assert operations - by_hand <= answered_well(statuses)
    change = [{"product_id": "sku-1", "image_url": URLS[0]}]
    feed = schema[FEED]["POST"].Case(path_parameters={"catalog": "shoes"}, media_type="application/json", body=change)
    assert feed.call_and_validate().status_code == 202
    parameters, body = {"catalog": "shoes", "product_id": "sku-1"}, {"product_id": "sku-1"}
    service.put("sku-1", "red")
    for path in OF_PRODUCTS:
        assert schema[path]["GET"].Case(path_parameters=parameters).call_and_validate().status_code == 200
    asked = {"path_parameters": parameters, "query": {"limit": "1"}, "media_type": "application/json", "body": body}
    assert schema[SEARCH]["POST"].Case(**asked).call_and_validate().status_code == 200
    parameters = {"catalog": "shoes", "generation": next_generation(service)}
    service.put("sku-3", "red", color="red", price=9.9)
    query = {"sort": "price", "total": "true", "facets": ["color", "price"], "limit": "1"}
    listed = schema[FEED]["GET"].Case(path_parameters=parameters, query=query).call_and_validate()
    assert [*listed.json()] == ["products", "next", "total", "facets"]
    body = {"attributes": ["color", "price"]}
    facets = schema[FACETS]["POST"].Case(path_parameters=parameters, media_type="application/json", body=body)
    assert facets.call_and_validate().json()["facets"] == listed.json()["facets"]
    body = {"labels": ["color"], "resample": "bicubic"}
    asked = schema[EVALUATE]["POST"].Case(path_parameters=parameters, media_type="application/json", body=body)
    assert asked.call_and_validate().status_code == 202
    for path in OF_GENERATIONS:
        assert schema[path]["GET"].Case(path_parameters=parameters).call_and_validate().status_code == 200
    service.catalogs.get("shoes").map.make()
    for path in OF_MAPS:
        parameters = {"catalog": "shoes", "key": "color"}
        assert schema[path]["GET"].Case(path_parameters=parameters).call_and_validate().status_code == 200
    parameters = {"catalog": "shoes", "name": a_direction(service)}
    for path in OF_DIRECTIONS:
        assert schema[path]["GET"].Case(path_parameters=parameters).call_and_validate().status_code == 200
    gone = schema[OF_DIRECTIONS[0]]["DELETE"].Case(path_parameters=parameters).call_and_validate()
    assert gone.status_code == 204
    check_duplicates(service, schema)
    assert not {status for _, status in statuses} & {500, 502, 503, 504}


def check_duplicates(service: Any, schema: Any) -> None:
    """A list of duplicates, a decision about a group and its end are as described."""
    for product in ("twin-1", "twin-2"):
        service.put(product, "red", color="red")
    service.catalogs.get("shoes").duplicates.look()
    found = schema[DUPLICATES]["GET"].Case(path_parameters={"catalog": "shoes"}).call_and_validate()
    group = {"catalog": "shoes", "group": found.json()["groups"][0]["id"]}
    json = {"media_type": "application/json", "body": {"decision": "remove"}}
    decided = schema[DECISION]["POST"].Case(path_parameters=group, **json).call_and_validate()
    assert (found.status_code, decided.status_code) == (200, 200) and decided.json()["to_remove"]
    assert schema[DECISION]["DELETE"].Case(path_parameters=group).call_and_validate().status_code == 204


@pytest.mark.long
def test_no_answer_to_a_search_is_outside_the_schema(service: Any) -> None:
    others = {phase: {"enabled": False} for phase in ("examples", "fuzzing", "stateful")}
    wrong, statuses = run(load(stocked(service), config(10, phases=others)).include(path=SEARCH))
    assert not wrong, "\n\n".join(wrong)
    assert {status for _, status in statuses} >= {200, 422} and statuses.total() > 1000
    assert not {status for _, status in statuses} & {500, 502, 503, 504}


def test_removing_catalogs_is_as_described(service: Any) -> None:
    schema = schemathesis.openapi.from_wsgi("/openapi.json", service.app, config=config(10))
    wrong, statuses = run(schema.include(path=CATALOG).exclude(method="PUT"))
    assert not wrong, "\n\n".join(wrong) and statuses[f"DELETE {CATALOG}", 204] == 1


@contextmanager
def served(app: Flask) -> Iterator[str]:
    """Its URL, behind waitress: how schemathesis leaves keys out needs a network."""
    server: Any = create_server(app, host="127.0.0.1", port=0, threads=2)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.effective_port}"
    server.close()


def test_no_answer_is_outside_the_schema_with_keys(make_service: Any, tmp_path: Path) -> None:
    """Also: no route answers without a key where the document says that it needs one."""
    (tmp_path / "keys").write_text(f"shop:{hashed('a')}\n")
    auth = {"Authorization": "Bearer a"}
    service = stocked(make_service(keyring=Keyring.load(tmp_path / "keys")), **auth)
    with served(service.app) as url:
        with_key = config(2, auth={"openapi": {"key": {"bearer": "a"}}})
        schema = schemathesis.openapi.from_url(f"{url}/openapi.json", config=with_key, headers=auth)
        wrong, statuses = run(
            schema.include(path_regex="livez|readyz|metrics|stats|jobs|products/{product_id}$|catalogs$")
        )
    assert not wrong, "\n\n".join(wrong)
    assert {f"PUT {PRODUCT}", "GET /v1/jobs", "GET /v1/stats", "GET /livez"} <= answered_well(statuses)


@pytest.mark.nightly
def test_no_answer_is_outside_the_schema_at_length(service: Any) -> None:
    wrong, statuses = run(load(stocked(service), config(100)))
    assert not wrong, "\n\n".join(wrong)
    assert not {status for _, status in statuses} & {500, 502, 503, 504}


def unknown_field(response: Response) -> Response:
    response.data = response.data[:-1].rstrip(b"}\n") + b',"more":1}'
    return response


def undeclared_status(response: Response) -> Response:
    response.status_code = 418
    return response


def another_type(response: Response) -> Response:
    response.content_type = "text/plain"
    return response


def server_error(response: Response) -> Response:
    response.status_code = 500
    return response


@pytest.mark.parametrize("broken", [unknown_field, undeclared_status, another_type, server_error])
def test_an_answer_outside_the_schema_is_seen(service: Any, broken: Callable[[Response], Response]) -> None:
    schema = load(service, config(1)).include(path="/livez")
    assert run(schema)[0] == []
    service.app.after_request_funcs[None].insert(0, broken)
    assert run(schema)[0] != []
