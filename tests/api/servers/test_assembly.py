"""What is upgraded when a server starts, and what it does where that cannot be."""

from pathlib import Path

import pytest
from pytest_httpserver import HTTPServer
from redis import Redis

from api.servers.assembly import upgrade_at_start
from services import bootstrap
from services.errors import FormatTooNew
from services.settings import Settings


@pytest.mark.parametrize("status", [400, 401, 404, 500])
def test_a_qdrant_that_refuses_keeps_no_server_from_starting(
    httpserver: HTTPServer, redis: Redis, valkey_url: str, tmp_path: Path, status: int
) -> None:
    """Given something before Qdrant that refuses every request, I expect the server to start and report that itself."""
    httpserver.expect_request("/").respond_with_json({"title": "qdrant", "version": "1.18.0"})
    httpserver.expect_request("/aliases").respond_with_data("", status=status)
    configured = Settings(data=tmp_path, redis_url=valkey_url, qdrant_url=httpserver.url_for("").rstrip("/"))
    upgrade_at_start(configured, bootstrap.ledger(configured, valkey_url))
    assert [request.path for request, _ in httpserver.log].count("/aliases") > 0


def test_a_ledger_of_a_newer_version_does(redis: Redis, valkey_url: str, tmp_path: Path) -> None:
    redis.set("la:format", 99)
    configured = Settings(data=tmp_path, redis_url=valkey_url)
    try:
        with pytest.raises(FormatTooNew):
            upgrade_at_start(configured, bootstrap.ledger(configured, valkey_url))
    finally:
        redis.flushall()
