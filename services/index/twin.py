"""A stand-in for a Qdrant server where none is available: the REST routes that we use, on qdrant-client's local mode.

    python -m services.index.twin [--port 6333] [--path FOLDER] [--api-key KEY]

It is a real HTTP server, so it exercises the real client, its encoding, timeouts and errors, from several processes at
once. Every search scans all products, so it is for tests and trials only. Filters ask no payload index, and ranges
compare integers beyond 2**53 exactly, where a server compares floats. With `--path` acknowledged writes are stored
and survive a kill.
"""

import argparse
import re
import secrets
import threading
from collections.abc import Callable
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple, Self
from urllib.parse import unquote, urlsplit

from pydantic import TypeAdapter, ValidationError
from pydantic_core import to_json
from qdrant_client import models
from qdrant_client.local.qdrant_local import QdrantLocal

from services.index.twin_schema import TwinSchema

VERSION = "1.18.0"
_FACETED = {"keyword": str, "integer": int, "bool": bool}


class QdrantTwin:
    """An HTTP server on 127.0.0.1 from `start` to `stop`. `version` is the version it reports; `observe` is called with
    the method, path with query, and body of every request."""

    def __init__(
        self,
        path: Path | None = None,
        *,
        port: int = 0,
        api_key: str = "",
        version: str = VERSION,
        observe: Callable[[str, str, bytes], None] = lambda *_: None,
    ) -> None:
        self.version = version
        self.api_key = api_key
        self.observe = observe
        self._local = QdrantLocal(str(path or ":memory:"), force_disable_check_same_thread=True)
        self._schema = TwinSchema(path)
        # Local mode is not thread-safe.
        self._lock = threading.Lock()
        self._server = _Server(("127.0.0.1", port), _Handler)
        self._server.twin = self
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
        with self._lock:
            self._local.close()

    def answer(self, method: str, path: str, body: bytes, key: str) -> tuple[int, Any]:
        """Handles a request; returns the HTTP status and the result, or the error message."""
        if self.api_key and not secrets.compare_digest(key.encode(), self.api_key.encode()):
            return 401, "Must provide an API key or an Authorization bearer token"
        for route in _ROUTES:
            if route.method == method and (found := re.fullmatch(route.path, path)):
                names = [unquote(group) for group in found.groups()]
                try:
                    given = [TypeAdapter(route.takes).validate_json(body)] if route.takes else []
                    with self._lock:
                        return 200, route.answer(self, *names, *given)
                except ValidationError as error:
                    return 400, f"Format error in JSON body: {error}"
                except (ValueError, KeyError) as error:
                    return _refusal(str(error))
        return 404, f"{method} {path} is no route of this twin"

    def _named(self, name: str) -> str:
        """The collection of this name or alias."""
        return self._local.aliases.get(name, name)

    def info(self) -> Any:
        return {"title": "qdrant - vector search engine", "version": self.version}

    def collections(self) -> Any:
        return self._local.get_collections()

    def collection(self, name: str) -> Any:
        info = self._local.get_collection(name)
        info.payload_schema = self._schema.infos(self._named(name), info.points_count or 0)
        return info

    def exists(self, name: str) -> Any:
        return {"exists": self._local.collection_exists(name)}

    def create(self, name: str, wanted: models.CreateCollection) -> Any:
        return self._local.create_collection(
            name,
            vectors_config=wanted.vectors,
            quantization_config=wanted.quantization_config,
            metadata=wanted.metadata,
        )

    def update(self, name: str, wanted: models.UpdateCollection) -> Any:
        return self._local.update_collection(name, metadata=wanted.metadata)

    def delete_collection(self, name: str) -> Any:
        self._schema.forget(name)
        return self._local.delete_collection(name)

    def aliases(self) -> Any:
        return self._local.get_aliases()

    def change_aliases(self, wanted: models.ChangeAliasesOperation) -> Any:
        return self._local.update_collection_aliases(wanted.actions)

    def index(self, name: str, wanted: models.CreateFieldIndex) -> Any:
        self._local._get_collection(name)
        self._schema.add(self._named(name), wanted)
        return _DONE

    def delete_index(self, name: str, key: str) -> Any:
        self._local._get_collection(name)
        self._schema.remove(self._named(name), key)
        return _DONE

    def upsert(self, name: str, wanted: models.PointsList) -> Any:
        return self._local.upsert(name, wanted.points, update_filter=wanted.update_filter)

    def batch(self, name: str, wanted: models.UpdateOperations) -> Any:
        return self._local.batch_update_points(name, wanted.operations)

    def delete(self, name: str, wanted: models.PointsSelector) -> Any:
        return self._local.delete(name, wanted)

    def retrieve(self, name: str, wanted: models.PointRequest) -> Any:
        return self._local.retrieve(name, wanted.ids, _or(wanted.with_payload, True), _or(wanted.with_vector, False))

    def scroll(self, name: str, wanted: models.ScrollRequest) -> Any:
        points, cursor = self._local.scroll(
            name,
            wanted.filter,
            _or(wanted.limit, 10),
            wanted.order_by,
            wanted.offset,
            _or(wanted.with_payload, True),
            _or(wanted.with_vector, False),
        )
        return {"points": points, "next_page_offset": cursor}

    def query(self, name: str, wanted: models.QueryRequest) -> Any:
        return self._local.query_points(
            name,
            wanted.query,  # type: ignore[arg-type]  # an array of numbers is also a vector here
            using=wanted.using,
            query_filter=wanted.filter,
            limit=_or(wanted.limit, 10),
            offset=wanted.offset,
            with_payload=_or(wanted.with_payload, False),
            with_vectors=_or(wanted.with_vector, False),
            score_threshold=wanted.score_threshold,
        )

    def query_batch(self, name: str, wanted: models.QueryRequestBatch) -> Any:
        return [self.query(name, each) for each in wanted.searches]

    def count(self, name: str, wanted: models.CountRequest) -> Any:
        return self._local.count(name, wanted.filter)

    def facet(self, name: str, wanted: models.FacetRequest) -> Any:
        kind = self._schema.kind(self._named(name), wanted.key)
        if kind not in _FACETED:
            raise ValueError(f"No appropriate index for faceting: `{wanted.key}`")
        hits = self._local.facet(name, wanted.key, wanted.filter, limit=1 << 30).hits
        # The server counts facets from the payload index, which holds only values of its kind.
        hits = [hit for hit in hits if type(hit.value) is _FACETED[kind]]
        return {"hits": hits[: _or(wanted.limit, 10)]}


class _Route(NamedTuple):
    method: str
    path: str
    answer: Callable[..., Any]
    takes: Any = None


_NAME = "/collections/([^/]+)"
_ROUTES = [
    _Route("GET", "/", QdrantTwin.info),
    _Route("GET", "/collections", QdrantTwin.collections),
    _Route("GET", "/aliases", QdrantTwin.aliases),
    _Route("POST", "/collections/aliases", QdrantTwin.change_aliases, models.ChangeAliasesOperation),
    _Route("GET", _NAME, QdrantTwin.collection),
    _Route("GET", f"{_NAME}/exists", QdrantTwin.exists),
    _Route("PUT", _NAME, QdrantTwin.create, models.CreateCollection),
    _Route("PATCH", _NAME, QdrantTwin.update, models.UpdateCollection),
    _Route("DELETE", _NAME, QdrantTwin.delete_collection),
    _Route("PUT", f"{_NAME}/index", QdrantTwin.index, models.CreateFieldIndex),
    _Route("DELETE", f"{_NAME}/index/([^/]+)", QdrantTwin.delete_index),
    _Route("PUT", f"{_NAME}/points", QdrantTwin.upsert, models.PointsList),
    _Route("POST", f"{_NAME}/points", QdrantTwin.retrieve, models.PointRequest),
    _Route("POST", f"{_NAME}/points/batch", QdrantTwin.batch, models.UpdateOperations),
    _Route("POST", f"{_NAME}/points/delete", QdrantTwin.delete, models.PointsSelector),
    _Route("POST", f"{_NAME}/points/scroll", QdrantTwin.scroll, models.ScrollRequest),
    _Route("POST", f"{_NAME}/points/query", QdrantTwin.query, models.QueryRequest),
    _Route("POST", f"{_NAME}/points/query/batch", QdrantTwin.query_batch, models.QueryRequestBatch),
    _Route("POST", f"{_NAME}/points/count", QdrantTwin.count, models.CountRequest),
    _Route("POST", f"{_NAME}/facet", QdrantTwin.facet, models.FacetRequest),
]
_DONE = models.UpdateResult(operation_id=0, status=models.UpdateStatus.COMPLETED)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    twin: QdrantTwin


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # A response is sent in two packets; with Nagle's algorithm the second waits for the ACK of the first.
    disable_nagle_algorithm = True
    server: _Server

    def _do(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        twin = self.server.twin
        twin.observe(self.command, self.path, body)
        status, result = twin.answer(self.command, urlsplit(self.path).path, body, self.headers.get("api-key", ""))
        if status == 200:
            answer = result if self.path == "/" else {"result": result, "status": "ok", "time": 0.0}
        else:
            answer = {"status": {"error": result}, "time": 0.0}
        data = to_json(answer)
        with suppress(ConnectionError):
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

    do_GET = do_PUT = do_POST = do_PATCH = do_DELETE = _do

    def log_message(self, format: str, *args: Any) -> None:
        """Logs nothing."""


def _or(given: Any, default: Any) -> Any:
    return default if given is None else given


def _refusal(reason: str) -> tuple[int, str]:
    if "not found" in reason:
        return 404, reason
    return (409 if "already exists" in reason else 400), reason


def main() -> None:
    parser = argparse.ArgumentParser(description="A stand-in for a Qdrant server, for tests and trials.")
    parser.add_argument("--port", type=int, default=6333)
    parser.add_argument("--path", type=Path, help="store the data in this folder")
    parser.add_argument("--api-key", default="")
    given = parser.parse_args()
    with QdrantTwin(given.path, port=given.port, api_key=given.api_key) as twin:
        print(twin.url, flush=True)  # noqa: T201
        with suppress(KeyboardInterrupt):
            threading.Event().wait()


if __name__ == "__main__":
    main()
