"""A shop's own pages show pictures by URLs that open without a key: this picture, until then, and nothing else."""

import io
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from key_files import bearer, write

from api.access.keyring import Keyring
from api.access.keys import hashed
from api.access.secret_file import beside

SEEN = "https://shop.example/lookalike"
ROOT, FINDER = bearer("root"), bearer("finder")
CATALOG = "/v1/catalogs/shoes"


@pytest.fixture
def keys_file(tmp_path: Path) -> Path:
    return write(tmp_path / "keys", f"root:{hashed('root')}", f"finder:search:shoes:{hashed('finder')}")


@pytest.fixture
def service(make_service: Any, keys_file: Path) -> Any:
    """A service behind a proxy, with two products."""
    service = make_service(keyring=Keyring.load(keys_file), public_url=SEEN)
    assert service.client.put(CATALOG, json={}, headers=ROOT).status_code == 201
    for name, paint in (("a%2Fb", "red"), ("c", "blue")):
        put(service, name, paint)
    return service


def put(service: Any, name: str, paint: str) -> None:
    form = {"image": (io.BytesIO(service.picture(paint)), "x.png")}
    answer = service.client.put(f"{CATALOG}/products/{name}?wait=30", data=form, headers=ROOT)
    assert answer.status_code == 200, answer.text


def test_every_read_of_products_signs_if_asked(service: Any) -> None:
    def ask(path: str, body: Any = None, **options: Any) -> Any:
        method = "GET" if body is None and not options else "POST"
        answer = service.client.open(f"{CATALOG}{path}", method=method, json=body, headers=FINDER, **options)
        assert answer.status_code == 200, answer.text
        return answer.json

    picture = {"data": service.picture("red"), "content_type": "image/png"}
    reads = {
        "/products/c{}": (lambda told: [told], {}),
        "/products{}": (lambda told: told["products"], {}),
        "/products/c/neighbors{}": (lambda told: told["neighbors"], {}),
        "/search{}": (lambda told: told["neighbors"], {"body": {"product_id": "c"}}),
        "/search{}&limit=2": (lambda told: told["neighbors"], picture),
        "/query{}": (lambda told: told["neighbors"], {"body": {"near": [{"product_id": "c"}]}}),
    }
    for path, (found, sent) in reads.items():
        shown = found(ask(path.format("?sign=3600"), **sent))
        assert shown and all({*each["signed"]} == {"url", "thumbnail_url"} for each in shown), path
        for each in shown:
            for url in each["signed"].values():
                assert url.startswith(f"{SEEN}{CATALOG}/products/"), path
                opened = service.client.get(url.removeprefix("https://shop.example"))
                assert (opened.status_code, opened.mimetype.partition("/")[0]) == (200, "image"), path
        plain = found(ask(path.format("?").replace("?&", "?").rstrip("?"), **sent))
        assert all("signed" not in each for each in plain), path


def urls(service: Any, name: str = "a%2Fb", seconds: int = 3600) -> tuple[str, str]:
    """The signed paths of a picture and of its thumbnail, as a proxy that cuts off its path passes them on."""
    told = service.client.get(f"{CATALOG}/products/{name}?sign={seconds}", headers=FINDER).json["signed"]
    url, small = (each.removeprefix(SEEN) for each in (told["url"], told["thumbnail_url"]))
    return url, small


def test_a_signed_url_opens_that_picture_and_caches_may_keep_it(service: Any) -> None:
    url, small = urls(service)
    assert urls(service) == (url, small) or urls(service) == urls(service), "the same within a window"
    picture = service.client.get(url)
    assert (picture.status_code, picture.data) == (200, service.picture("red"))
    policy, age, last = picture.headers["Cache-Control"].split(", ")
    assert (policy, last) == ("public", "immutable") and 3600 <= int(age.removeprefix("max-age=")) <= 7200
    assert service.client.get(small).mimetype == "image/webp" and service.client.head(url).status_code == 200
    seen = service.client.get(url, headers={"If-None-Match": picture.headers["ETag"]})
    assert (seen.status_code, "immutable" in seen.headers["Cache-Control"]) == (304, True)
    # With a key it is what it always was.
    keyed = service.client.get(url, headers=FINDER)
    assert (keyed.status_code, keyed.headers["Cache-Control"]) == (200, "private, no-cache")


def test_a_signed_url_opens_nothing_else(service: Any) -> None:
    url, small = urls(service)
    path, query = url.split("?")
    ends = int(parse_qs(query)["expires"][0])
    others = [
        url.replace("/a%2Fb/", "/c/"),
        url.replace("/shoes/", "/bags/"),
        url.replace("/image?", "/thumbnail?"),
        small.replace("/thumbnail?", "/image?"),
        url.replace(f"expires={ends}", f"expires={ends + 3600}"),
        url.replace(f"&expires={ends}", ""),
        url[:-3] + "xyz",
        f"{path}?signature={parse_qs(query)['signature'][0]}",
        f"{path}?signature=",
    ]
    for other in others:
        assert other not in (url, small)
        refused = service.client.get(other)
        assert (refused.status_code, refused.json["code"]) == (403, "signature_refused"), other
    for other in (path, f"{CATALOG}/products/a%2Fb?{query}", f"{CATALOG}?{query}", f"/v1/jobs?{query}"):
        assert service.client.get(other).status_code == 401, other
    assert service.client.delete(url).status_code in (401, 403, 405)
    assert service.client.get(url, headers=bearer("wrong")).status_code == 401


def test_once_the_product_has_another_picture_its_old_urls_open_none(service: Any) -> None:
    url, small = urls(service)
    put(service, "a%2Fb", "green")
    for each in (url, small):
        gone = service.client.get(each)
        assert (gone.status_code, gone.json["code"], gone.headers["Cache-Control"]) == (
            404,
            "media_not_found",
            "no-store",
        )
    new, _ = urls(service)
    assert service.client.get(new).data == service.picture("green")


@pytest.mark.parametrize("sign", ["59", "604801", "x", "-60", "3600.5", ""])
def test_how_long_has_limits(service: Any, sign: str) -> None:
    refused = service.client.get(f"{CATALOG}/products/c?sign={sign}", headers=FINDER)
    assert (refused.status_code, refused.json["errors"][0]["field"]) == (422, "sign")


def test_without_keys_urls_open_as_they_are(make_service: Any) -> None:
    service = make_service()
    service.catalog()
    service.put("c")
    url = service.client.get(f"{CATALOG}/products/c?sign=60").json["signed"]["url"]
    assert urlsplit(url).path == f"{CATALOG}/products/c/image" and "signature" not in url
    assert service.client.get(url).status_code == 200
    assert service.client.get(f"{url}&signature=x&expires=1").status_code == 200


def test_where_no_secret_can_be_kept_nothing_is_signed(make_service: Any, keys_file: Path) -> None:
    beside(keys_file).mkdir()
    service = make_service(keyring=Keyring.load(keys_file))
    service.client.put(CATALOG, json={}, headers=ROOT)
    put(service, "c", "red")
    refused = service.client.get(f"{CATALOG}/products/c?sign=60", headers=FINDER)
    assert (refused.status_code, refused.json["code"]) == (409, "conflict")
    assert service.client.get(f"{CATALOG}/products/c/image?signature=x").status_code == 403
    assert service.client.get(f"{CATALOG}/products/c", headers=FINDER).status_code == 200
