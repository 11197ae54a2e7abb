"""Only this box, or who has shown the PIN; and no page of another site."""

from __future__ import annotations

from typing import Any

import pytest
from starlette.responses import PlainTextResponse

from edge_agent.ui.gate import MOST_TRIES, PIN_DIGITS, Gate, Pairing, is_local


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


class Answer:
    """What came back: a status (that of a closed web socket is its close code), and where it leads."""

    def __init__(self, messages: list[dict[str, Any]]) -> None:
        first = messages[0]
        self.status = first.get("status", first.get("code", 101))
        self.location = dict(first.get("headers", ())).get(b"location", b"").decode()


class Pages:
    """Pages behind a gate, asked as a server would ask them."""

    def __init__(self, pairing: Pairing, *, local_only: bool = False, host: str = "192.0.2.7:8020") -> None:
        self._gate = Gate(_page, pairing, local_only)
        self._host = host

    async def ask(self, path: str, method: str = "GET", *, socket: bool = False, **headers: str) -> Answer:
        headers = {"host": self._host} | headers
        scope = {
            "type": "websocket" if socket else "http", "method": method, "path": path, "query_string": b"",
            "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
        }  # fmt: skip
        sent: list[dict[str, Any]] = []

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": b"", "more_body": False}

        async def send(message: Any) -> None:
            sent.append(message)

        await self._gate(scope, receive, send)
        return Answer(sent)


async def _page(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] == "websocket":
        await send({"type": "websocket.accept"})
    else:
        await PlainTextResponse("the page")(scope, receive, send)


OURS, FOREIGN = "http://192.0.2.7:8020", "https://elsewhere.example"
SOCKET = "/_nicegui_ws/socket.io"


def test_a_pin_is_made_at_random_for_each_start() -> None:
    pins = {Pairing(needed=True).pin for _ in range(20)}
    assert len(pins) == 20
    assert all(len(pin) == PIN_DIGITS and pin.isdigit() for pin in pins)


def test_whoever_has_shown_the_pin_is_known_and_nobody_else() -> None:
    pairing = Pairing(needed=True)
    token = pairing.pair(f"{pairing.pin[:4]} {pairing.pin[4:]}")
    assert token
    assert pairing.knows(token)
    assert not pairing.knows("")
    assert not pairing.knows(token[:-1])


def wrong_pin(pairing: Pairing) -> str:
    return f"{(int(pairing.pin) + 1) % 10**PIN_DIGITS:0{PIN_DIGITS}d}"


def test_wrong_pins_make_even_the_right_one_wait() -> None:
    clock = Clock()
    pairing = Pairing(needed=True, clock=clock)
    for _ in range(3):
        assert pairing.pair(wrong_pin(pairing)) is None
    assert pairing.wait_s > 0
    assert pairing.pair(pairing.pin) is None
    clock.now += pairing.wait_s
    assert pairing.pair(pairing.pin)


def test_a_guesser_closes_the_door() -> None:
    clock = Clock()
    pairing = Pairing(needed=True, clock=clock)
    for _ in range(MOST_TRIES):
        clock.now += pairing.wait_s
        pairing.pair(wrong_pin(pairing))
    clock.now += 3600
    assert pairing.closed
    assert pairing.pair(pairing.pin) is None


async def test_an_unpaired_browser_sees_only_the_pairing_page() -> None:
    pages = Pages(Pairing(needed=True))
    assert (await pages.ask("/machines")).location == "/pair"
    for path in ("/pair", "/look/theme.css", "/language/zh"):
        assert (await pages.ask(path)).status == 200
    assert (await pages.ask("/_nicegui/x")).status == 403
    assert (await pages.ask("/connect/photo", "POST", origin=OURS)).status == 403
    assert (await pages.ask(SOCKET, socket=True, origin=OURS)).status == 4403
    assert (await pages.ask("/machines", cookie="sunmao_pairing=guessed")).location == "/pair"


async def test_a_paired_browser_sees_everything() -> None:
    pairing = Pairing(needed=True)
    pages = Pages(pairing)
    cookie = f"sunmao_language=zh; sunmao_pairing={pairing.pair(pairing.pin)}"
    assert (await pages.ask("/machines", cookie=cookie)).status == 200
    assert (await pages.ask(SOCKET, socket=True, cookie=cookie, origin=OURS)).status == 101


@pytest.mark.parametrize("path", ["/connect/photo", "/pair"])
async def test_a_page_of_another_site_changes_nothing(path: str) -> None:
    pages = Pages(Pairing(needed=False))
    assert (await pages.ask(path, "POST", origin=FOREIGN)).status == 403
    assert (await pages.ask(path, "POST", origin="null")).status == 403
    assert (await pages.ask(path, "POST", origin=OURS)).status == 200
    assert (await pages.ask(SOCKET, socket=True, origin=FOREIGN)).status == 4403


async def test_a_name_that_only_points_here_is_not_this_box() -> None:
    pairing = Pairing(needed=False)
    assert (await Pages(pairing, local_only=True, host="rebound.example:8020").ask("/")).status == 403
    assert (await Pages(pairing, local_only=True, host="localhost:8020").ask("/")).status == 200


@pytest.mark.parametrize(
    ("host", "local"),
    [("127.0.0.1:8020", True), ("localhost", True), ("[::1]:80", True), ("192.168.1.5", False), ("", False), ("a b", False)],
)  # fmt: skip
def test_what_is_local(host: str, local: bool) -> None:
    assert is_local(host) is local
