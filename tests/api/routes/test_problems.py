"""The type of each problem leads to a page that says what it means and what to do about it."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from api.responses.meanings import MEANINGS
from api.responses.problems import statuses
from services.errors import LookalikeError

ROOT = Path(__file__).parents[3]


def words(*folders: str) -> set[str]:
    """Every name and word of the code in folders."""
    paths = [path for folder in folders for path in (ROOT / folder).rglob("*.py") if path != Path(__file__)]
    return {word for path in paths for word in re.findall(r"\w+", path.read_text())}


def kinds() -> Mapping[str, str]:
    """The names of the errors of this code, by their codes."""
    found, left = {}, [LookalikeError]
    while left:
        kind = left.pop()
        left += kind.__subclasses__()
        if kind.__module__.partition(".")[0] in ("services", "api", "workers"):
            found[kind.code] = kind.__name__
    return found


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


def unprovoked(in_tests: set[str], raised: set[str]) -> list[str]:
    """Codes of errors that are raised somewhere, and that no test speaks of, nor of their kind."""
    return sorted(code for code, kind in kinds().items() if kind in raised and not {code, kind} & in_tests)


def test_each_code_has_a_test_that_speaks_of_it() -> None:
    """Families of errors are not raised themselves, so nobody is told their codes."""
    sources = "".join(
        path.read_text() for name in ("services", "api", "workers") for path in (ROOT / name).rglob("*.py")
    )
    raised = {*re.findall(r"(?<!class )\b([A-Z]\w+)\(", sources)}
    in_tests = words("tests")
    assert unprovoked(in_tests, raised) == []
    assert unprovoked(in_tests - {"product_not_found", "ProductNotFound"}, raised) == ["product_not_found"]


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
