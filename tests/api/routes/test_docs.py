"""The OpenAPI document and its page: complete, and loading nothing from elsewhere."""

import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

from api.access.keyring import Keyring
from api.access.keys import hashed
from api.responses.problems import statuses

UNDOCUMENTED = {"docs.openapi", "docs.page", "static"}


class Page(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.ids: list[str] = []
        self.links: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        for name, value in attrs:
            if name == "id":
                self.ids.append(value or "")
            if name in ("href", "src", "action", "srcset", "data", "style") or name.startswith("on"):
                self.links.append(value or "")


def document(service: Any, **headers: str) -> Any:
    answer = service.client.get("/openapi.json", headers=headers)
    assert answer.status_code == 200
    return answer.json


def test_every_route_is_described(service: Any) -> None:
    rules = [rule for rule in service.app.url_map.iter_rules() if rule.endpoint not in UNDOCUMENTED]
    routes = {
        (re.sub(r"<[^:>]+:([^>]+)>", r"{\1}", rule.rule), method.lower())
        for rule in rules
        for method in rule.methods - {"HEAD", "OPTIONS"}
    }
    told = document(service)
    operations = {(path, method): each for path, of in told["paths"].items() for method, each in of.items()}
    assert operations.keys() == routes and len(routes) > 20
    assert told["openapi"].startswith("3.1")
    # Generators make functions of them.
    names = [each["operationId"] for each in operations.values()]
    assert len({*names}) == len(names) and [name for name in names if not re.fullmatch(r"[a-z]+(_[a-z]+)*", name)] == []
    assert all(each["summary"] and each["tags"] for each in operations.values())


def test_every_reference_leads_somewhere(service: Any) -> None:
    told = document(service)
    names = set(re.findall(r'"#/components/schemas/([^"]+)"', json.dumps(told)))
    assert names <= told["components"]["schemas"].keys() and "Filter" in names
    assert "x-schema" not in json.dumps(told) and "x-more" not in json.dumps(told)


def test_what_may_be_left_out_is_not_said_to_be_null(service: Any) -> None:
    told = document(service)
    given = [each for path in told["paths"].values() for of in path.values() for each in of["parameters"]]
    taken = [
        told["components"]["schemas"][name] for name in ("Search", "SearchOptions", "NewCatalog", "Change", "Filter")
    ]
    assert "null" not in json.dumps([given, taken])


def test_keys_are_asked_for_where_they_are_needed(make_service: Any, tmp_path: Path) -> None:
    (tmp_path / "keys").write_text(f"shop:{hashed('a')}\n")
    service = make_service(keyring=Keyring.load(tmp_path / "keys"))
    told = document(service, Authorization="Bearer a")
    assert told["security"] == [{"key": []}]
    for path, of in told["paths"].items():
        for operation in of.values():
            name = operation["operationId"]
            is_open = path in ("/livez", "/readyz", "/problems/{code}") or name in ("begin_session", "end_session")
            assert (operation.get("security") == []) is is_open
            assert ("401" in operation["responses"]) is (not is_open or name == "begin_session")
            takes_other_ways = name in ("begin_session", "end_session", "get_image", "get_thumbnail")
            assert ("403" in operation["responses"]) is takes_other_ways
    page = service.client.get("/docs").text
    assert "need an API key" in page and "Authorization: Bearer KEY" in page


def test_without_keys_none_are_asked_for(service: Any) -> None:
    told = document(service)
    # A generator makes a client that can send one, and need not.
    assert told["security"] == [{}, {"key": []}] and "401" not in json.dumps(told)
    assert told["components"]["securitySchemes"] == {"key": {"type": "http", "scheme": "bearer"}}
    page = service.client.get("/docs").text
    assert "need an API key" not in page and "Authorization: Bearer KEY&#39;" not in page


def test_the_page_loads_nothing_from_elsewhere(service: Any) -> None:
    answer = service.client.get("/docs")
    page = Page(answer.text)
    assert (answer.status_code, answer.content_type) == (200, "text/html; charset=utf-8")
    policy = answer.headers["Content-Security-Policy"]
    assert policy == (
        "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
    assert not {"script", "style", "img", "iframe", "base"} & {*page.tags}
    outside = [link for link in page.links if not link.startswith(("#", "/"))]
    assert outside == [] and "//" not in "".join(page.links)
    with service.client.get("/static/docs.css") as style:
        assert (style.status_code, style.mimetype) == (200, "text/css")
        assert "url(" not in style.text and "@import" not in style.text


def test_the_page_tells_everything_the_document_does(service: Any) -> None:
    told, page = document(service), Page(text := service.client.get("/docs").text)
    operations = [each["operationId"] for of in told["paths"].values() for each in of.values()]
    assert {*operations, *(f"schema-{name}" for name in told["components"]["schemas"])} <= {*page.ids}
    assert {f"problem-{code}" for code in statuses()} <= {*page.ids}
    assert len(page.ids) == len({*page.ids})
    assert [link for link in page.links if link.startswith("#") and link[1:] not in page.ids] == []
    assert "curl -X PUT -F image=@shoe.jpg" in text.replace("&#39;", "'")
    assert re.findall(r"curl [^<]*/[^< ]*\{[a-z_]+\}", text) == [], "each example has a value in place of a name"


def test_the_page_shows_text_as_text(service: Any) -> None:
    page = service.client.get("/docs", headers={"Host": "localhost"}).text
    assert "<script" not in page
    evil = service.client.get("/docs", headers={"Host": "localhost'><script>"})
    assert "<script" not in evil.text
