"""What LOOKALIKE_PUBLIC_URL says is how everything is named that leads back here."""

import io
from typing import Any

import pytest

from api.access.public_url import OWN, PublicUrl, origins
from services.errors import InvalidSetting

SEEN = "https://shop.example/lookalike"


@pytest.mark.parametrize(
    ("text", "origin", "path"),
    [
        ("https://shop.example", "https://shop.example", ""),
        ("https://shop.example/", "https://shop.example", ""),
        ("HTTPS://Shop.Example:443/A/b-c/", "https://shop.example", "/A/b-c"),
        ("http://shop.example:80", "http://shop.example", ""),
        ("http://127.0.0.1:8080/x", "http://127.0.0.1:8080", "/x"),
        ("https://[::1]:8443/..x", "https://[::1]:8443", "/..x"),
    ],
)
def test_an_origin_is_written_as_browsers_write_it(text: str, origin: str, path: str) -> None:
    assert PublicUrl.parse(text) == PublicUrl(origin, path)
    assert origins(f" {text.rstrip('/').removesuffix(path)} ,") == {origin}


@pytest.mark.parametrize(
    "text",
    [
        *("shop.example", "//shop.example", "ftp://shop.example", "https://", "https://*", "https://*.example"),
        *("https://a@shop.example", "https://café.example", "https://shop.example:x", "https://-a", "https://[::1"),
        *(
            "https://shop.example?x",
            "https://shop.example/x#y",
            "https://shop.example/a//b",
            "https://shop.example/../b",
        ),
        "https://shop.example/a%2Fb",
    ],
)
def test_what_is_no_url_is_refused_by_name(text: str) -> None:
    with pytest.raises(InvalidSetting, match="LOOKALIKE_PUBLIC_URL"):
        PublicUrl.parse(text)
    with pytest.raises(InvalidSetting, match="LOOKALIKE_ALLOW_ORIGINS"):
        origins(text)


def test_a_path_that_is_one_of_ours_is_refused(service: Any) -> None:
    """Nobody could tell whether a proxy has cut it off."""
    assert {rule.rule.split("/")[1] for rule in service.app.url_map.iter_rules()} == OWN
    for name in OWN:
        with pytest.raises(InvalidSetting, match="begins as paths of the service do"):
            PublicUrl.parse(f"https://shop.example/{name}/")


@pytest.mark.parametrize("mount", ["", "/lookalike"], ids=["cut off by the proxy", "passed on"])
def test_all_that_leads_back_here_has_the_public_url(make_service: Any, mount: str) -> None:
    service = make_service(public_url=SEEN)
    ask = service.client
    made = ask.put(f"{mount}/v1/catalogs/shoes", json={})
    assert (made.status_code, made.location) == (201, f"{SEEN}/v1/catalogs/shoes")
    put = ask.put(f"{mount}/v1/catalogs/shoes/products/a%2Fb", data={"image": (io.BytesIO(service.picture()), "x.png")})
    assert put.location == f"{SEEN}/v1/jobs/{put.json['id']}"
    assert ask.get(f"{mount}/v1/catalogs/shoes/products/a%2Fb").json["product_id"] == "a/b"
    assert [each["url"] for each in ask.get(f"{mount}/openapi.json").json["servers"]] == [SEEN]
    page = ask.get(f"{mount}/docs").text
    assert f"{SEEN}/v1/catalogs" in page and 'href="/lookalike/static/docs.css"' in page
    with ask.get(f"{mount}/static/docs.css") as style:
        assert style.status_code == 200
    missing = ask.get(f"{mount}/v1/catalogs/none").json
    assert missing["type"] == "/lookalike/problems/catalog_not_found"
    assert ask.get(missing["type"]).json["code"] == "catalog_not_found"


def test_a_path_that_only_begins_alike_is_another(make_service: Any) -> None:
    ask = make_service(public_url=SEEN).client
    assert ask.get("/lookalikes/v1/catalogs").status_code == ask.get("/lookalikev1/catalogs").status_code == 404
    assert ask.get("/lookalike/lookalike/v1/catalogs").status_code == 404
    assert ask.get("/lookalike").status_code == ask.get("/").status_code == 404


def test_without_one_urls_are_paths(service: Any) -> None:
    put = service.client.put("/v1/catalogs/bags", json={})
    assert put.location == "/v1/catalogs/bags"
    assert [each["url"] for each in service.client.get("/openapi.json").json["servers"]] == ["/"]
    assert service.client.get("/lookalike/v1/catalogs").status_code == 404


def test_without_keys_pages_of_the_public_url_are_our_own(make_service: Any) -> None:
    """A browser says https, the proxy that it asks speaks http to us."""
    service = make_service(public_url="https://localhost:8443/lookalike")
    for origin, status in (
        ("https://localhost:8443", 201),
        ("https://localhost:8444", 403),
        ("https://evil.example", 403),
    ):
        answer = service.client.put("/v1/catalogs/shoes", json={}, headers={"Origin": origin})
        assert answer.status_code == status
        assert status == 201 or answer.json["code"] == "origin_refused"
