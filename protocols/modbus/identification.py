"""What a Modbus device says of itself: Read Device Identification (43/14) and Report Server ID (17).

Both are optional in the protocol, and most devices have neither: no answer, or an exception, means nothing is known.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from contextlib import suppress

from protocols.errors import Malformed, Unreachable
from protocols.modbus.config import ModbusConnection
from protocols.modbus.link import ModbusLink
from protocols.modbus.pdu import MEI_TYPE
from protocols.text import Text

OBJECTS = (
    "vendor_name",
    "product_code",
    "revision",
    "vendor_url",
    "product_name",
    "model_name",
    "application_name",
)
"""Names of the objects 0 to 6 (MODBUS Application Protocol V1.1b3, 6.21)."""

_REGULAR = 2
_GATEWAY = {0x0A, 0x0B}
_MOST_REQUESTS = 8


async def identification(device: str, connection: ModbusConnection) -> dict[str, str]:
    """Return the texts the unit gives of itself by the names in `OBJECTS`, and "server_id"; empty where it gives none.

    Raises Unreachable where nothing listens, and Malformed for an answer that breaks the protocol.
    """
    found: dict[str, str] = {}
    for ask in (_objects, _server_id):
        link = ModbusLink(device, connection)
        await link.open()
        try:
            with suppress(Unreachable):  # many devices keep silent about a function they do not know
                found |= await ask(device, link)
        finally:
            await link.close()
    return found


async def _objects(device: str, link: ModbusLink) -> dict[str, str]:
    found: dict[str, str] = {}
    first = 0
    for _ in range(_MOST_REQUESTS):
        answer = await link.device_identification(_REGULAR, first)
        if isinstance(answer, int):
            break
        # MEI type, read code, conformity, more follows, next object, number of objects
        if len(answer) < 6 or answer[0] != MEI_TYPE:
            raise _malformed(device)
        more, following, count, place = answer[3], answer[4], answer[5], 6
        for _ in range(count):
            if place + 2 > len(answer) or place + 2 + answer[place + 1] > len(answer):
                raise _malformed(device)
            number, length = answer[place], answer[place + 1]
            text = _text(answer[place + 2 : place + 2 + length])
            if number < len(OBJECTS) and text:
                found[OBJECTS[number]] = text
            place += 2 + length
        if more != 0xFF or following <= first:
            break
        first = following
    return found


async def _server_id(device: str, link: ModbusLink) -> dict[str, str]:
    answer = await link.server_id()
    if isinstance(answer, int):
        return {}
    if not answer or answer[0] != len(answer) - 1:
        raise _malformed(device)
    # The run indicator's place depends on the device (6.13): it is the byte 0x00 or 0xFF, which no text holds.
    text = _text(bytes(byte for byte in answer[1:] if byte not in {0x00, 0xFF}))
    return {"server_id": text} if text else {}


async def present_units(
    device: str, connection: ModbusConnection, units: Iterable[int]
) -> AsyncIterator[tuple[int, bool]]:
    """Ask each of `units` for its first holding register and yield whether it answered, be it with an exception.

    A gateway's "no such unit" (exceptions 0A and 0B) is no answer. Raises Unreachable where nothing listens, and
    Malformed at the first answer that breaks the protocol: the line is then left alone.
    """
    for unit in units:
        link = ModbusLink(device, connection.model_copy(update={"unit_id": unit}))
        await link.open()
        try:
            answer = await link.exchange(3, 0, 1, 2)
            yield unit, answer not in _GATEWAY
        except Unreachable:
            yield unit, False
        finally:
            await link.close()


def _text(data: bytes) -> str:
    text = data.decode("utf-8", errors="replace")
    return "".join(letter for letter in text if letter.isprintable() and letter != "�").strip()


def _malformed(device: str) -> Malformed:
    return Malformed(
        Text(f"{device}: its identification breaks the protocol", f"{device}：设备标识应答不符合协议"),
        Text("choose the template by hand", "请手动选择模板"),
    )
