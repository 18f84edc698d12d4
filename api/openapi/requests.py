"""Examples of requests, for the OpenAPI document: a test sends each to a real service."""

from collections.abc import Mapping
from typing import Any

_HASH = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
_RED = {"must": [{"key": "color", "match": {"value": "red"}}]}
_FLORAL = {"filter": {"must": [{"key": "pattern", "match": {"value": "floral"}}]}}
_FILE = "(the bytes of sneaker-12.jpg)"
_FEED = """{"product_id": "sneaker-12", "image_url": "https://shop.example/12.jpg", "attributes": {"color": "red"}}
{"product_id": "mug-3", "op": "patch", "attributes": {"price": 9.9}}
{"product_id": "boot-3", "op": "delete"}
"""
_TABLE = """product_id,image_url,color,price
sneaker-12,https://shop.example/12.jpg,red,59.9
"""
_QUERY = {
    "near": [{"product_id": "sneaker-12"}, {"product_id": "mug-3", "weight": -1}],
    "filter": {"must": [{"key": "price", "range": {"lt": 50}}]},
    "limit": 5,
}

REQUESTS: Mapping[str, Mapping[str, Any]] = {
    "create_key": {"application/json": {"name": "shop", "scopes": ["search"], "catalogs": ["shoes"]}},
    "put_catalog": {
        "application/json": {
            "encoder": "efficientnet_lite0",
            "indexed_attributes": {"color": "keyword", "price": "float"},
        }
    },
    "put_product": {
        "application/json": {"image_url": "https://shop.example/12.jpg", "attributes": {"color": "red", "price": 59.9}},
        "multipart/form-data": {"image": _FILE, "attributes": {"color": "red", "price": 59.9}},
    },
    "patch_product": {
        "application/json": {"attributes": {"price": 49.9}},
        "multipart/form-data": {"image": _FILE, "attributes": {"price": 49.9}},
    },
    "feed_products": {
        "application/x-ndjson": _FEED,
        "application/jsonl": _FEED,
        "application/json": [
            {"product_id": "sneaker-12", "image_url": "https://shop.example/12.jpg", "attributes": {"color": "red"}},
            {"product_id": "mug-3", "op": "patch", "attributes": {"price": 9.9}},
        ],
        "text/csv": _TABLE,
    },
    "read_products": {"application/json": {"ids": ["sneaker-12", "mug-3"]}},
    "begin_session": {"application/json": {"key": "lk_5N0uV3m8Qw2rT7yZ1xC4"}},
    "delete_products": {"application/json": {"filter": _RED, "dry_run": True}},
    "list_missing_images": {"application/json": {"images": [_HASH]}},
    "count_facets": {"application/json": {"attributes": ["color", "price"], "filter": _RED}},
    "search": {
        "application/json": {"product_id": "sneaker-12", "filter": _RED, "limit": 5},
        "multipart/form-data": {"image": _FILE, "query": {"filter": _RED, "limit": 5}},
    },
    "query": {
        "application/json": _QUERY,
        "multipart/form-data": {"query": {"near": [{"image": "image_1"}], "limit": 5}, "image_1": _FILE},
    },
    "find_path": {
        "application/json": {"start": {"product_id": "sneaker-12"}, "end": {"product_id": "mug-3"}, "steps": 3},
        "multipart/form-data": {
            "query": {"start": {"product_id": "sneaker-12"}, "end": {"image": "image_1"}},
            "image_1": _FILE,
        },
    },
    "put_direction": {"application/json": {"toward": _FLORAL, "within": "category"}},
    "find_outliers": {"application/json": {"label": "category"}},
    "decide_duplicates": {"application/json": {"decision": "remove", "keep": ["sneaker-12"]}},
    "reindex": {"application/json": {"quantization": "scalar"}},
    "promote_generation": {"application/json": {"allow_missing": False}},
    "evaluate": {"application/json": {"labels": ["category"]}},
}
"""By operation and media type; what is the bytes of a file has none."""
