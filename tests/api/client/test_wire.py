"""Between the domain and the JSON of the API: options of a search, and what answers say."""

from api.client.wire import search_json, to_neighbor
from services.catalog.search import SearchOptions
from services.records import Explanation, Neighbor, TermShare


def test_what_was_asked_for_is_sent_and_nothing_else() -> None:
    none: SearchOptions = {"limit": 0, "offset": 0, "min_score": 0.0, "color_weight": 0.0}
    assert search_json(none) == none
    left_out: SearchOptions = {"limit": 5, "filter": None, "min_score": None, "color_weight": None, "rerank": False}
    assert search_json(left_out) == {"limit": 5}
    assert search_json({"rerank": True}) == {"rerank": True}


def test_what_an_older_service_does_not_say_is_not_known() -> None:
    told = {"product_id": "a", "score": 0.5, "attributes": {"n": 1}}
    assert to_neighbor(told) == Neighbor("a", 0.5, {"n": 1})
    more = {"percentile": 99.4, "likeness": "alike", "group": "red"}
    explained = {"terms": [{"role": "near", "term": "b", "share": 0.5}], "in_common": {"n": 1}}
    assert to_neighbor({**told, **more, "explanation": explained}) == Neighbor(
        "a", 0.5, {"n": 1}, 99.4, "alike", "red", Explanation((TermShare("near", "b", 0.5),), {"n": 1})
    )
