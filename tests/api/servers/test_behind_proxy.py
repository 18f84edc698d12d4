"""A real browser behind a real proxy, with TLS and below a path: what pages may do, and what other sites may not."""

import base64
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from browser import CHROMIUM, Browser, Page, PageError
from key_files import bearer
from nginx import NGINX, OPENSSL, Nginx
from stack import free_port
from waiting import until

from api.access.keyring import Keyring
from api.access.keys import new_key
from api.access.keys_file import add
from api.servers.embedded import EmbeddedServer
from services import settings

pytestmark = pytest.mark.long

TOOLS = {"chromium": CHROMIUM, "nginx": NGINX, "openssl": OPENSSL}
CATALOG = "/lookalike/v1/catalogs/shoes"
CHANGE = f"{CATALOG}/optimize"
"""A request without a body, which a browser sends for any page without asking before."""
POST = "fetch('{}', {{method: 'POST', mode: 'no-cors', credentials: 'include'}})"


@dataclass
class Shop:
    """A service behind nginx, the secrets of its keys, and a browser."""

    port: int
    nginx: Nginx
    browser: Browser
    secrets: dict[str, str]
    picture: bytes

    def page(self, host: str = "shop.example") -> Page:
        """An empty page of that host."""
        return self.browser.page(f"{self.url(host)}/page")

    def url(self, host: str = "shop.example") -> str:
        return f"https://{host}:{self.port}"

    def told_of(self, method: str, path: str, number: int) -> str:
        """What nginx noted of the newest of so many requests."""
        until(lambda: len(self.nginx.seen(method, path)) >= number, 300, lambda: self.nginx.seen(method, path))
        noted = self.nginx.seen(method, path)
        assert len(noted) == number
        return noted[-1]


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    if missing := [name for name, path in TOOLS.items() if path is None]:
        told = f"not installed: {', '.join(missing)} (on Debian: apt install {' '.join(missing)})"
        assert os.environ.get("BROWSER_TESTS") != "required", told
        pytest.skip(told)
    with Browser(tmp_path_factory.mktemp("browser")) as browser:
        yield browser


@pytest.fixture
def shop(make_service: Any, tmp_path: Path, browser: Browser) -> Iterator[Shop]:
    """A service with keys, an empty catalog `shoes`, and nginx before it."""
    secrets, keys, port = {}, tmp_path / "keys", free_port()
    for name, scope in (("root", "admin"), ("finder", "search")):
        key, secrets[name] = new_key(name, [scope])
        add(keys, key)
    ring = Keyring.load(keys)
    seen = {
        "public_url": f"https://shop.example:{port}/lookalike",
        "allow_origins": f"https://partner.example:{port}",
    }
    service = make_service(keyring=ring, **seen)
    service.client.put("/v1/catalogs/shoes", json={}, headers=bearer(secrets["root"]))
    server = EmbeddedServer(service.app, "127.0.0.1", 0, settings.load(data=tmp_path, **seen), ring)
    server.start()
    with Nginx(tmp_path, port, server.url) as nginx:
        yield Shop(port, nginx, browser, secrets, service.picture())
    server.hang_up()


def asked(page: Page, path: str, method: str = "GET", body: object = None, **headers: str) -> Any:
    """The status, the headers and the JSON of what a script on the page asks for."""
    options = {"method": method, "headers": headers} | ({} if body is None else {"body": json.dumps(body)})
    return page.run(
        f"""fetch({json.dumps(path)}, {json.dumps(options)}).then(async answer => (
            {{status: answer.status, headers: Object.fromEntries(answer.headers),
              json: await answer.json().catch(() => null)}}
        ))"""
    )


def log_in(shop: Shop, page: Page, name: str = "root") -> Any:
    body = {"key": shop.secrets[name]}
    return asked(page, "/lookalike/v1/session", "POST", body, **{"Content-Type": "application/json"})


def put(page: Page, path: str, picture: bytes) -> int:
    """The status of a put of a picture by a script on the page."""
    text = base64.b64encode(picture).decode()
    script = f"""fetch({json.dumps(path)}, {{method: 'PUT', headers: {{'Content-Type': 'image/png'}},
        body: Uint8Array.from(atob('{text}'), letter => letter.charCodeAt(0))}}).then(answer => answer.status)"""
    return int(page.run(script))


def test_a_page_behind_the_proxy_logs_in_works_and_logs_out(shop: Shop) -> None:
    page = shop.page()
    assert asked(page, "/lookalike/v1/session")["status"] == 401
    begun = log_in(shop, page)
    assert (begun["status"], begun["json"]["scopes"]) == (200, ["admin"])
    assert page.run("document.cookie") == "", "no script reads it"
    assert asked(page, "/lookalike/v1/session")["json"] == begun["json"]

    made = asked(page, "/lookalike/v1/catalogs/bags", "PUT", {}, **{"Content-Type": "application/json"})
    assert (made["status"], made["headers"]["location"]) == (201, f"{shop.url()}/lookalike/v1/catalogs/bags")
    product = f"{CATALOG}/products/a%2Fb"
    assert put(page, f"{product}?wait=60", shop.picture) == 200
    # The proxy passes the path on as it came.
    assert asked(page, product)["json"]["product_id"] == "a/b"

    assert asked(page, "/lookalike/v1/session", "DELETE")["status"] == 204
    assert asked(page, product)["status"] == asked(page, "/lookalike/v1/session")["status"] == 401


def test_pages_of_other_sites_get_nowhere_with_the_cookie(shop: Shop) -> None:
    own = shop.page()
    assert log_in(shop, own)["status"] == 200
    before = len(shop.nginx.seen("POST", CHANGE))
    # Another site: the browser sends no cookie along.
    evil = shop.page("evil.example")
    evil.run(POST.format(shop.url() + CHANGE))
    assert shop.told_of("POST", CHANGE, before + 1) == f"401 origin={shop.url('evil.example')} cookie=-"
    # Another host of the same site: the browser sends it, and the service looks where the page is from.
    blog = shop.page("blog.shop.example")
    blog.run(POST.format(shop.url() + CHANGE))
    noted = shop.told_of("POST", CHANGE, before + 2)
    assert noted.startswith(f"403 origin={shop.url('blog.shop.example')} cookie=") and not noted.endswith("cookie=-")
    # The same as forms that a person sends by a click, after which the page is the answer.
    form = f"document.body.innerHTML = '<form method=post action={shop.url()}{CHANGE}>'; document.forms[0].submit()"
    shop.page("evil.example").run(form)
    assert shop.told_of("POST", CHANGE, before + 3) == f"401 origin={shop.url('evil.example')} cookie=-"
    shop.page("blog.shop.example").run(form)
    assert shop.told_of("POST", CHANGE, before + 4).startswith(f"403 origin={shop.url('blog.shop.example')} cookie=")
    for page in (evil, blog):
        for script in (
            f"fetch('{shop.url()}{CATALOG}', {{method: 'DELETE', credentials: 'include'}})",
            f"fetch('{shop.url()}/lookalike/v1/keys', {{credentials: 'include'}})",
            f"fetch('{shop.url()}{CATALOG}', {{credentials: 'include'}})",
        ):
            with pytest.raises(PageError, match="Failed to fetch"):
                page.run(script)
    # The very same request of our own page is taken.
    own.run(POST.format(CHANGE))
    assert shop.told_of("POST", CHANGE, before + 5).startswith(f"202 origin={shop.url()} cookie=")
    assert asked(own, CATALOG)["status"] == 200


def test_a_page_of_a_named_origin_works_with_a_key_and_reads_what_it_needs(shop: Shop) -> None:
    log_in(shop, shop.page())
    key = {"Authorization": f"Bearer {shop.secrets['root']}", "Content-Type": "application/json"}
    partner = shop.page("partner.example")
    told = asked(partner, f"{shop.url()}/lookalike/v1/catalogs/bags", "PUT", {}, **key)
    assert (told["status"], told["headers"]["location"]) == (201, f"{shop.url()}/lookalike/v1/catalogs/bags")
    assert told["headers"]["x-request-id"]
    refused = asked(partner, f"{shop.url()}/lookalike/v1/catalogs/bags")
    assert (refused["status"], refused["json"]["code"]) == (401, "unauthorized")
    with pytest.raises(PageError, match="Failed to fetch"):
        partner.run(f"fetch('{shop.url()}/lookalike/v1/session', {{credentials: 'include'}})")
    assert asked(partner, f"{shop.url()}/lookalike/livez")["status"] == 200
    evil = shop.page("evil.example")
    for path, headers in (("v1/catalogs/bags", key), ("livez", {})):
        with pytest.raises(PageError, match="Failed to fetch"):
            asked(evil, f"{shop.url()}/lookalike/{path}", **headers)


def test_a_signed_url_is_a_picture_on_a_page_of_any_site(shop: Shop) -> None:
    own = shop.page()
    assert log_in(shop, own)["status"] == 200
    product = f"{CATALOG}/products/c%2Fd"
    assert put(own, f"{product}?wait=60", shop.picture) == 200
    signed = asked(own, f"{product}?sign=3600")["json"]["signed"]
    evil = shop.page("evil.example")

    def width(url: str) -> int:
        """That of the picture as the page shows it; 0: it shows none."""
        return int(
            evil.run(
                f"""new Promise(done => {{
                    const picture = document.body.appendChild(new Image());
                    picture.onload = picture.onerror = () => done(picture.naturalWidth);
                    picture.src = {json.dumps(url)};
                }})"""
            )
        )

    assert (width(signed["url"]), width(signed["thumbnail_url"])) == (32, 32)
    assert width(signed["url"].partition("?")[0]) == width(signed["url"][:-2]) == 0
    assert width(f"{shop.url()}{product}/image") == 0
