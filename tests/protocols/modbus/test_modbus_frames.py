"""Frames in words: what an electrician reads beside the bytes."""

from __future__ import annotations

import pytest

from protocols.modbus.frames import explain_frame

CASES = [
    ("00 01 00 00 00 06 01 04 00 12 00 02", True, "transaction 1, unit 1: read 2 input registers, 18 to 19 (function 4)"),
    ("00 01 00 00 00 07 01 04 04 45 25 E4 5E", False, "transaction 1, unit 1: 4 bytes of data: 4525 E45E"),
    ("00 02 00 00 00 03 07 83 02", False, "transaction 2, unit 7: refuses function 3 with exception 2: illegal data address"),
    ("00 03 00 00 00 06 01 06 00 05 01 F4", True, "write 01F4 to holding register 5 (function 6)"),
    ("00 03 00 00 00 06 01 06 00 05 01 F4", False, "confirms the write at 5"),
    ("00 04 00 00 00 0B 01 10 00 64 00 02 04 43 65 02 8F", True, "write 4365 028F to 2 holding registers from 100"),
    ("00 05 00 00 00 04 01 01 01 05", False, "1 bytes of data: 05"),
    ("00 06 00 00 00 05 01 2B 0E 02 00", True, "read device identification (function 43)"),
    ("00 06 00 00 00 09 01 04 04 45 25 E4 5E", False, "13 bytes that are no Modbus frame"),
    ("48 54 54 50 2F 31 2E 31 20", False, "9 bytes that are no Modbus frame"),
    ("00 07 00 00 00 03 01 84 63", False, "exception 99: a failure the protocol has no name for"),
    ("00 08 00 00 00 04 01 04 09 01", False, "function 4, 2 bytes"),
]  # fmt: skip


@pytest.mark.parametrize(("frame", "sent", "words"), CASES)
def test_a_frame_says_what_it_is(frame: str, sent: bool, words: str) -> None:
    said = explain_frame(bytes.fromhex(frame), serial=False, sent=sent)
    assert words in said.en
    assert said.zh != said.en


def test_a_serial_frame_has_a_unit_and_a_checksum_and_no_transaction() -> None:
    said = explain_frame(bytes.fromhex("01 04 00 12 00 02 D0 0E"), serial=True, sent=True)
    assert said.en == "unit 1: read 2 input registers, 18 to 19 (function 4)"
    assert said.zh == "从站 1：读取 2 个输入寄存器，地址 18 至 19(功能码 4)"


@pytest.mark.parametrize("length", range(0, 14))
@pytest.mark.parametrize("serial", [False, True])
@pytest.mark.parametrize("sent", [False, True])
def test_any_bytes_can_be_explained(length: int, serial: bool, sent: bool) -> None:
    for fill in (0, 3, 0x10, 0x83, 0xFF):
        assert explain_frame(bytes([fill]) * length, serial=serial, sent=sent).en
