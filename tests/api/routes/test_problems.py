"""The type of each problem leads to a page that says what it means and what to do about it."""

import re
from typing import Any

import pytest

from api.responses.meanings import MEANINGS
from api.responses.problems import statuses


def test_the_type_of_a_problem_is_the_path_of_its_page(service: Any) -> None:
    problem = service.client.get("/v1/catalogs/nowhere").json
    assert problem["type"] == "/problems/catalog_not_found"
    assert service.client.get(problem["type"]).json == {
        "code": "catalog_not_found",
        "title": problem["title"],
        "status": problem["status"],
        "retryable": problem["retryable"],
        "meaning": "There is no catalog of this name.",
        "advice": "List catalogs, or make it with PUT.",
    }


def test_each_code_has_a_page_and_each_page_a_code(service: Any) -> None:
    assert MEANINGS.keys() == statuses().keys()
    for code, status in statuses().items():
        told = service.client.get(f"/problems/{code}")
        assert (told.status_code, told.json["code"], told.json["status"]) == (200, code, status)
    answer = service.client.get("/problems/none")
    assert (answer.status_code, answer.json["code"]) == (404, "not_found")


@pytest.mark.parametrize("code", sorted(MEANINGS))
def test_a_page_is_of_whole_sentences(code: str) -> None:
    for text in MEANINGS[code]:
        assert re.fullmatch(r"[A-Z`][^\n]*[^\s.]\.", text), text


def test_people_get_a_page_and_programs_json(service: Any) -> None:
    browser = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
    for code in sorted(MEANINGS):
        page = service.client.get(f"/problems/{code}", headers=browser)
        assert (page.status_code, page.content_type) == (200, "text/html; charset=utf-8")
        assert f"<code>{code}</code>" in page.text and "/docs#problems" in page.text
        assert page.headers["Content-Security-Policy"].startswith("default-src 'none'; style-src 'self'")
    for accepted in ("*/*", "application/json", "application/json, text/html;q=0.5"):
        answer = service.client.get("/problems/busy", headers={"Accept": accepted})
        assert answer.content_type == "application/json" and "Accept" in answer.vary
