"""The map of a running service, as a client reads it: parts that belong together, or none."""

from collections.abc import Iterator

import numpy as np
import pytest
from pytest_httpserver import HTTPServer
from werkzeug import Response

from api.client.connection import Client
from api.client.maps import TRIES, RemoteMap
from api.client.timings import Timings
from services.catalog.map_bytes import column_bytes, points_bytes
from services.catalog.map_columns import Column
from services.errors import Conflict

HASH, OTHER = "a" * 64, "b" * 64
POINTS = np.array([[1, 2], [3, 4]], np.uint16)
COLUMN = Column("number", np.zeros(0, np.uint16), np.array([5, 6], np.float32))
TOLD = {"version": 1, "clusters": [], "hash": HASH}


@pytest.fixture
def client(httpserver: HTTPServer) -> Iterator[Client]:
    made = Client(httpserver.url_for(""))
    yield made
    made.close()


def served(httpserver: HTTPServer, client: Client, *, points: str, column: str) -> RemoteMap:
    """The map of a service whose points and columns have these ETags."""
    httpserver.expect_request("/c/map").respond_with_json(TOLD)
    answers = {
        "points": (points_bytes(POINTS, np.zeros(2, np.uint16), 1), points),
        "ids": (b'{"product_ids": ["p1", "p2"]}', points),
        "attributes/price": (column_bytes(COLUMN), column),
    }
    for path, (data, tag) in answers.items():
        httpserver.expect_request(f"/c/map/{path}").respond_with_response(Response(data, headers={"ETag": tag}))
    return RemoteMap(client, "/c", Timings())


@pytest.mark.parametrize("before", ["", "W/"])
def test_parts_that_belong_together_are_read_behind_a_proxy_that_packs_them_too(
    httpserver: HTTPServer, client: Client, before: str
) -> None:
    remote = served(httpserver, client, points=f'{before}"{HASH}"', column=f'{before}"{HASH}-1234"')
    standing = remote.standing()
    assert (standing.product_ids, standing.points.tolist()) == (("p1", "p2"), POINTS.tolist())
    assert remote.column("price", standing.product_ids).numbers.tolist() == [5, 6]


def test_parts_of_two_maps_are_not_joined(httpserver: HTTPServer, client: Client) -> None:
    with pytest.raises(Conflict):
        served(httpserver, client, points=f'"{OTHER}"', column=f'"{OTHER}-1234"').standing()
    assert len(httpserver.log) == 3 * TRIES
    httpserver.clear()
    remote = served(httpserver, client, points=f'"{HASH}"', column=f'"{OTHER}-1234"')
    with pytest.raises(Conflict):
        remote.column("price", remote.standing().product_ids)
