"""Options of a search as JSON: what was asked for, zeros included, and nothing else."""

from api.client.wire import search_json
from services.catalog.search import SearchOptions


def test_what_was_asked_for_is_sent_and_nothing_else() -> None:
    none: SearchOptions = {"limit": 0, "offset": 0, "min_score": 0.0, "color_weight": 0.0}
    assert search_json(none) == none
    left_out: SearchOptions = {"limit": 5, "filter": None, "min_score": None, "color_weight": None, "rerank": False}
    assert search_json(left_out) == {"limit": 5}
    assert search_json({"rerank": True}) == {"rerank": True}
