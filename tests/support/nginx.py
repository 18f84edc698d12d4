"""nginx as docs/operations.md has it, with TLS, on a port of this machine; and empty pages on the same port."""

import re
import shutil
import socket
import subprocess
from pathlib import Path
from typing import Self

from waiting import until

NGINX = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
OPENSSL = shutil.which("openssl")
PAGE = Path(__file__).parents[2] / "docs" / "operations.md"

FRAME = """
daemon off;
master_process off;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{}}
http {{
    log_format seen '$request_method $uri $status origin=$http_origin cookie=$cookie_lookalike_session';
    access_log {folder}/access.log seen;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
{server}
    server {{
        listen 127.0.0.1:{port} ssl default_server;
        ssl_certificate {folder}/cert.pem;
        ssl_certificate_key {folder}/key.pem;
        {page}
    }}
}}
"""
EMPTY = "location = /page { default_type text/html; return 200 '<!doctype html><title>page</title>'; }"


class Nginx:
    """Runs it before a service at an address; `shop.example` is the service's, every other host has the page alone."""

    def __init__(self, folder: Path, port: int, backend: str) -> None:
        assert NGINX and OPENSSL, "nginx and openssl are not installed"
        self._folder = folder
        self._port = port
        certificate = ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=shop.example"]
        files = ["-keyout", str(folder / "key.pem"), "-out", str(folder / "cert.pem")]
        subprocess.run([OPENSSL, *certificate, *files], check=True, capture_output=True)
        (folder / "nginx.conf").write_text(
            FRAME.format(folder=folder, port=port, page=EMPTY, server=self._documented(backend))
        )
        command = [NGINX, "-p", str(folder), "-e", str(folder / "error.log"), "-c", str(folder / "nginx.conf")]
        self._process = subprocess.Popen(command)

    def __enter__(self) -> Self:
        def listens() -> bool:
            assert self._process.poll() is None, (self._folder / "error.log").read_text()
            with socket.socket() as line:
                return line.connect_ex(("127.0.0.1", self._port)) == 0

        until(listens, 300)
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait(120)

    def seen(self, method: str, path: str) -> list[str]:
        """What it has noted of these requests: status, origin, cookie."""
        lines = (self._folder / "access.log").read_text().splitlines()
        return [line.removeprefix(start) for line in lines if line.startswith(start := f"{method} {path} ")]

    def _documented(self, backend: str) -> str:
        found = re.search(r"```nginx\n(.*?)```", PAGE.read_text(), re.DOTALL)
        assert found, "the page has no configuration"
        text = found[1]
        for written, real in (
            ("listen 443 ssl;", f"listen 127.0.0.1:{self._port} ssl; {EMPTY}"),
            ("/etc/ssl/shop.example.pem", f"{self._folder}/cert.pem"),
            ("/etc/ssl/shop.example.key", f"{self._folder}/key.pem"),
            ("http://127.0.0.1:8080", backend),
        ):
            assert text.count(written) == 1, written
            text = text.replace(written, real)
        return text
