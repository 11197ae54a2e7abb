"""Processes of the cloud on one database, and Caddy in front of them with the Caddyfile that is deployed."""

from __future__ import annotations

import shutil
import ssl
from collections.abc import Mapping
from pathlib import Path

import httpx

from deploy.demo.processes import Plant, free_port, wait_until
from protocols.text import Text

CADDY = shutil.which("caddy")
CADDYFILE = Path(__file__).parents[2] / "deploy" / "cloud" / "Caddyfile"
SHORTENED = {"read_header 10s": "read_header 1s", "read_body 5m": "read_body 2s"}
"""What a test shortens, so that it need not wait that long."""


class Proxied:
    """`count` processes named cloud-0, cloud-1 ... of `plant`, on the database at `dsn`, and the proxy at `url`.

    `bare` are the addresses of the processes themselves. Nothing is reached from outside this machine.
    """

    def __init__(self, plant: Plant, dsn: str, count: int) -> None:
        self.plant, self._dsn = plant, dsn
        self._ports = [free_port() for _ in range(count)]
        self.bare = [f"http://127.0.0.1:{port}" for port in self._ports]
        self.http_port, self.https_port = free_port(), free_port()
        self.url = f"https://localhost:{self.https_port}"
        self._file = plant.folder / "Caddyfile"

    def start(self) -> None:
        """Start all and wait until each process, and the proxy, answers; the secrets are there already."""
        for number in range(len(self._ports)):
            self.start_process(number, wait=False)
        self.start_proxy()
        for url in self.bare:
            self._wait(url, False)

    def start_process(self, number: int, *, wait: bool = True) -> None:
        """Start one of the processes, where it was before if it was."""
        where = ("--data", "cloud", "--dsn", self._dsn, "--port", str(self._ports[number]))
        self.plant.start(f"cloud-{number}", "sunmao-cloud", "serve", *where)
        if wait:
            self._wait(self.bare[number], False)

    def start_proxy(self) -> None:
        """Start Caddy with the deployed file; only where it listens and how patient it is are other than there."""
        text = CADDYFILE.read_text("utf-8")
        for shipped, short in SHORTENED.items():
            assert shipped in text
            text = text.replace(shipped, short)
        here = (
            f"{{\n\tadmin off\n\tdefault_bind 127.0.0.1\n\thttp_port {self.http_port}\n\thttps_port {self.https_port}\n"
        )
        self._file.write_text(text.replace("{\n", here, 1), "utf-8")
        self.plant.start("caddy", *caddy_command("run", self._file, self._ports, self.plant.folder / "caddy"))
        wait_until(self._has_written_root, 20, Text("the proxy's certificate", "代理证书"), self.plant.check)
        self._wait(self.url, self.tls())

    @property
    def root(self) -> Path:
        """The certificate of the authority that the proxy has made for itself."""
        return self.plant.folder / "caddy" / "caddy" / "pki" / "authorities" / "local" / "root.crt"

    def tls(self) -> ssl.SSLContext:
        """Return what trusts the proxy and nobody else."""
        return ssl.create_default_context(cafile=self.root)

    def _has_written_root(self) -> bool:
        return self.root.exists() and "END CERTIFICATE" in self.root.read_text("ascii")

    def _wait(self, url: str, verify: ssl.SSLContext | bool) -> None:
        def ready() -> bool:
            try:
                return httpx.get(f"{url}/readyz", timeout=5, verify=verify).status_code == httpx.codes.OK
            except httpx.TransportError:
                return False

        wait_until(ready, 60, Text(url, url), self.plant.check)


def caddy_command(
    what: str, file: Path, ports: list[int], kept: Path, more: Mapping[str, str] | None = None
) -> list[str | Path]:
    """Return the command line of Caddy for processes at `ports`, with what it keeps in `kept`; `more` is set besides."""
    given = {
        "SUNMAO_ADDRESS": "localhost",
        "SUNMAO_UPSTREAM": " ".join(f"127.0.0.1:{port}" for port in ports),
        "XDG_DATA_HOME": kept,
        "XDG_CONFIG_HOME": kept,
        **(more or {}),
    }
    assert CADDY is not None
    words = [f"{name}={value}" for name, value in given.items()]
    return ["/usr/bin/env", *words, CADDY, what, "--config", file, "--adapter", "caddyfile"]
