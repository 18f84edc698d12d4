"""A Qdrant that is spoken to by gRPC. The twin speaks REST only, so what answers here knows three calls."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import grpc
import pytest
from qdrant_client import models
from qdrant_client.grpc import points_pb2, points_service_pb2_grpc, qdrant_pb2, qdrant_pb2_grpc

from services.errors import IndexRefused, IndexUnavailable
from services.index.client import WRITE_SECONDS, Client

POINT = models.PointStruct(id=1, vector=[1.0, 0.0], payload={})


class Points(points_service_pb2_grpc.PointsServicer):
    """Takes `seconds` for a write, and refuses to count."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds

    def Upsert(self, request: Any, context: Any) -> Any:
        time.sleep(self._seconds)
        done = points_pb2.UpdateResult(operation_id=1, status=points_pb2.UpdateStatus.Completed)
        return points_pb2.PointsOperationResponse(result=done, time=0.0)

    def Count(self, request: Any, context: Any) -> Any:
        context.abort(grpc.StatusCode.INVALID_ARGUMENT, "no such thing to count")

    def Scroll(self, request: Any, context: Any) -> Any:
        time.sleep(5)


class Health(qdrant_pb2_grpc.QdrantServicer):
    def HealthCheck(self, request: Any, context: Any) -> Any:
        return qdrant_pb2.HealthCheckReply(title="qdrant", version="1.18.0")


@contextmanager
def answering(port: int = 0, seconds: float = 0.0) -> Iterator[int]:
    server = grpc.server(ThreadPoolExecutor(4), options=[("grpc.so_reuseport", 0)])
    points_service_pb2_grpc.add_PointsServicer_to_server(Points(seconds), server)
    qdrant_pb2_grpc.add_QdrantServicer_to_server(Health(), server)
    port = server.add_insecure_port(f"127.0.0.1:{port}")
    server.start()
    try:
        yield port
    finally:
        server.stop(None).wait()


@contextmanager
def asking(port: int) -> Iterator[Client]:
    client = Client("http://127.0.0.1:9", grpc_port=port, timeout=1)
    try:
        yield client
    finally:
        client.close()


def test_a_write_may_take_longer_than_an_answer() -> None:
    with answering(seconds=1.5) as port, asking(port) as client:
        client.call("upsert", "shoes", [POINT], timeout=WRITE_SECONDS)
        with pytest.raises(IndexUnavailable, match="DEADLINE_EXCEEDED"):
            client.call("scroll", "shoes")


def test_what_it_refuses_is_told_with_its_reason_and_not_as_away() -> None:
    reason = "INVALID_ARGUMENT: no such thing to count"
    with answering() as port, asking(port) as client, pytest.raises(IndexRefused, match=reason):
        client.call("count", "shoes")


def test_it_is_looked_for_again_every_two_seconds_while_it_is_away() -> None:
    """Left to itself gRPC's pauses grow to two minutes, too long a time for a test to see."""
    with answering() as port, asking(port) as client:
        remote: Any = client._connected(client.timeout)._client
        assert remote._grpc_options["grpc.max_reconnect_backoff_ms"] == 2000


def test_a_closed_client_is_unavailable() -> None:
    with answering() as port, asking(port) as client:
        client.call("upsert", "shoes", [POINT])
        made = client._connected(client.timeout)
        made.close()
        with pytest.raises(IndexUnavailable, match="closed"):
            client.call("upsert", "shoes", [POINT])
