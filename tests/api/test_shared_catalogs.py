"""Catalogs made over HTTP by several API processes at once, on one Qdrant."""

import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from services.index.client import Client
from services.index.twin import QdrantTwin


def test_a_name_is_one_catalog_whoever_makes_it_at_the_same_time(make_service: Any) -> None:
    with QdrantTwin() as twin:
        apis = [make_service(qdrant_url=twin.url).app for _ in range(4)]
        together = threading.Barrier(len(apis))

        def make(app: Any, name: str) -> tuple[int, str]:
            together.wait(10)
            answer = app.test_client().put(f"/v1/catalogs/{name}", json={"encoder": "efficientnet_lite0"})
            return answer.status_code, answer.json["created_at"]

        for number in range(5):
            name = f"shoes-{number}"
            with ThreadPoolExecutor(len(apis)) as threads:
                made = list(threads.map(make, apis, [name] * len(apis)))
            assert Counter(status for status, _ in made) == {201: 1, 200: 3}
            assert len({created_at for _, created_at in made}) == 1
        # Nor did others leave a collection behind that nobody reaches.
        assert len(Client(twin.url).call("get_collections").collections) == 5
