"""Examples of answers, for the OpenAPI document."""

from collections.abc import Mapping
from typing import Any

_TIME = "2026-03-02T09:15:04.512Z"
_LATER = "2026-03-02T09:15:06.020Z"
_HASH = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
_PRINT = "4b6f1d3c8e2a5790c4d1e0f3a2b59687c8d9e0f1a2b3c4d5e6f708192a3b4c5d"
_RED = {"color": "red", "price": 59.9}
_RECIPE = {
    "encoder": "efficientnet_lite0",
    "weights": "imagenet",
    "resample": "nearest",
    "features": "head",
    "quantization": "none",
    "dim": 1280,
    "fingerprint": _PRINT,
    "trained": True,
    "created_at": _TIME,
}
_CATALOG = {
    "name": "shoes",
    "products": 1200,
    "indexed_attributes": {"color": "keyword", "price": "float"},
} | _RECIPE
_PRODUCT = {
    "product_id": "sneaker-12",
    "attributes": _RED,
    "image": _HASH,
    "image_url": "https://shop.example/12.jpg",
    "version": 12,
}
_NEIGHBOR = {
    "product_id": "sneaker-7",
    "score": 0.912,
    "percentile": 99.95,
    "likeness": "very_alike",
    "attributes": {"color": "red", "price": 49.9},
}
_ANSWER = {
    "product_id": "boot-3",
    "score": 0.64,
    "percentile": 99.2,
    "likeness": "alike",
    "attributes": {"color": "brown"},
}
_JOB = {
    "id": "42",
    "catalog": "shoes",
    "state": "succeeded",
    "total": 1,
    "applied": 1,
    "unchanged": 0,
    "superseded": 0,
    "failed": 0,
    "canceled": 0,
    "removed": 0,
    "not_removed": None,
    "errors": False,
    "created_at": _TIME,
    "started_at": _TIME,
    "finished_at": _LATER,
    "images_per_second": 0.66,
    "eta_seconds": None,
    "columns": None,
    "notes": None,
    "task": None,
    "waiting_for": None,
}
_KEY = {"name": "shop", "scopes": ["search"], "catalogs": ["shoes"]}
_FACETS = [
    {
        "key": "color",
        "kind": "keyword",
        "values": [{"value": "red", "count": 310}, {"value": "blue", "count": 204}],
        "numbers": None,
    },
    {
        "key": "price",
        "kind": "float",
        "values": None,
        "numbers": {"count": 514, "min": 9.9, "max": 89.9, "histogram": [{"start": 0, "end": 100, "count": 514}]},
    },
]
_GENERATION = {
    "id": "0f3a5c7e9b1d2f4a",
    "state": "live",
    "products": 1200,
    "since": _TIME,
    "drop_at": None,
} | _RECIPE
_DIRECTION = {
    "name": "floral",
    "quality": 0.93,
    "weak": False,
    "color_weight": 1.0,
    "positives": 180,
    "negatives": 1000,
    "categories": 6,
    "products": 1200,
    "created_at": _TIME,
    "learned_at": _LATER,
}
_GROUP = {
    "id": "5b86bb2ee533de1f",
    "kind": "same_picture",
    "placeholder": False,
    "products": 2,
    "members": [
        {"product_id": "sneaker-12", "attributes": _RED, "image": _HASH, "version": 12, "width": 1024, "height": 768},
        {"product_id": "sneaker-90", "attributes": {}, "image": _PRINT, "version": 90, "width": 320, "height": 240},
    ],
    "keep": ["sneaker-12"],
    "why": "It has the largest picture.",
    "decision": None,
    "to_remove": [],
    "decided_at": None,
}
_OUTLIER = {
    "product_id": "mug-3",
    "attributes": {"category": "shoe"},
    "score": 4.1,
    "label": "shoe",
    "looks_like": "mug",
    "disagreeing": 0.9,
}

ANSWERS: Mapping[str, Any] = {
    "Answers": {"neighbors": [_ANSWER], "good": 1, "color_weight": 1.0, "next": None},
    "Behind": {"product_ids": ["sneaker-12"], "next": None},
    "Catalog": _CATALOG,
    "CatalogMap": {
        "version": 1,
        "found_at": _TIME,
        "products": 1200,
        "stale": False,
        "clusters": [{"name": "sneaker", "x": 512, "y": 2048, "products": 310}],
        "attributes": ["color", "price"],
        "hash": _HASH,
        "points_url": "/v1/catalogs/shoes/map/points",
        "ids_url": "/v1/catalogs/shoes/map/ids",
    },
    "Catalogs": {"catalogs": [_CATALOG]},
    "Comparison": {
        "sample": 100,
        "common": {"1": 0.81, "5": 0.77, "10": 0.75, "50": 0.72},
        "missing": [],
        "pairs": [{"product_id": "sneaker-12", "live": [_NEIGHBOR], "other": [_NEIGHBOR]}],
    },
    "DeclaredCatalog": _CATALOG
    | {"other_kinds": {"price": {"kind": "float", "products": 1, "examples": {"mug-3": '"9,90"'}}}},
    "DefinedDirection": _DIRECTION
    | {
        "toward": {"filter": {"must": [{"key": "pattern", "match": {"value": "floral"}}]}},
        "away_from": None,
        "within": "category",
    },
    "Directions": {"directions": [_DIRECTION]},
    "DuplicateGroup": _GROUP | {"decision": "remove", "to_remove": ["sneaker-90"], "decided_at": _LATER},
    "DuplicateGroups": {
        "groups": [_GROUP],
        "total": 1,
        "next": None,
        "products": 1200,
        "found_at": _TIME,
        "complete": True,
        "stale": False,
    },
    "Duplicates": {
        "duplicates": [
            {
                "product_id": "sneaker-90",
                "kind": "same_picture",
                "score": 0.998,
                "percentile": 100.0,
                "attributes": {},
                "image": _PRINT,
                "decision": None,
            }
        ]
    },
    "Facets": {"facets": _FACETS},
    "Generations": {"generations": [_GENERATION]},
    "Items": {
        "items": [
            {
                "product_id": "mug-3",
                "state": "failed",
                "code": "fetch_not_found",
                "message": "https://shop.example/3.jpg answers 404.",
                "image": "https://shop.example/3.jpg",
                "line": None,
            }
        ],
        "next": None,
    },
    "Job": _JOB,
    "Jobs": {"jobs": [_JOB], "next": None},
    "Keys": {"keys": [_KEY]},
    "Liveness": {"status": "ok"},
    "MadeKey": _KEY | {"key": "lk_5N0uV3m8Qw2rT7yZ1xC4"},
    "MapIds": {"product_ids": ["sneaker-12", "mug-3"]},
    "MissingImages": {"missing": [_HASH]},
    "Neighbors": {"neighbors": [_NEIGHBOR], "good": 1, "next": "MQ"},
    "Outliers": {
        "label": "category",
        "products": 1200,
        "judged": 1180,
        "unlabeled": 12,
        "several_labels": 3,
        "rare_labels": 5,
        "rare": ["snaeker"],
        "found": 1,
        "found_at": _TIME,
        "stale": False,
        "complete": True,
        "outliers": [_OUTLIER],
        "next": None,
    },
    "ProblemPage": {
        "code": "product_not_found",
        "title": "Product not found",
        "status": 404,
        "retryable": False,
        "meaning": "The catalog has no product of this ID.",
        "advice": "Look for it with `GET /v1/catalogs/{catalog}/products`, or put it.",
    },
    "Product": _PRODUCT,
    "Products": {"products": [_PRODUCT], "next": None},
    "FoundProducts": {"products": [_PRODUCT], "missing": ["mug-3"]},
    "Readiness": {"status": "degraded", "ledger": "ok", "index": "ok", "catalogs": {"shoes": "weights_unreachable"}},
    "RemovedProducts": {"products": 310, "examples": ["sneaker-12", "sneaker-7"]},
    "Stats": {
        "waiting": 120,
        "in_flight": 64,
        "changes_per_second": 31.5,
        "drain_seconds": 5.8,
        "workers": 2,
        "slots": 4,
        "waiting_for": [
            {
                "catalog": "shoes",
                "code": "weights_unreachable",
                "message": "The ImageNet weights of inception_v3 could not be fetched: give a file.",
                "since": _TIME,
            }
        ],
    },
    "Session": _KEY | {"expires_at": "2026-03-02T21:15:04.512Z"},
    "Uploaded": {"image": _HASH},
}
"""By the name of the schema."""

TEXTS: Mapping[str, str] = {
    "text/plain": "# TYPE lookalike_changes_waiting gauge\nlookalike_changes_waiting 120.0\n",
    "text/html": "<!doctype html><title>Product not found</title>",
}
"""By media type."""

ACCEPTED: Mapping[str, Any] = {
    "Job": _JOB
    | {"state": "enqueued", "applied": 0, "started_at": None, "finished_at": None, "images_per_second": None}
}
"""The same where it is only accepted: what is 202."""
