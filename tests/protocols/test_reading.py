"""Qualities are OPC UA StatusCodes, whoever asks: our names and severities against asyncua's published table."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols import reading
from protocols.reading import Quality, Severity, now_us

status_codes = pytest.importorskip("asyncua.ua.status_codes").StatusCodes
PUBLISHED = {
    name: code for name, code in vars(status_codes).items() if isinstance(code, int) and not name.startswith("_")
}
NAMED = {
    name: quality
    for name, quality in vars(reading).items()
    if isinstance(quality, Quality) and not name.startswith("_")
}


@pytest.mark.parametrize("name", NAMED)
def test_our_qualities_are_the_published_codes(name: str) -> None:
    quality = NAMED[name]
    assert PUBLISHED[quality.cause] == quality.status_code
    assert quality.cause.upper() == name.replace("_", "")


@pytest.mark.parametrize("name", PUBLISHED)
def test_every_published_code_keeps_its_severity(name: str) -> None:
    quality = Quality.from_status_code(PUBLISHED[name])
    assert quality.status_code == PUBLISHED[name]
    assert quality.severity == Severity[next(s for s in ("GOOD", "UNCERTAIN", "BAD") if name.upper().startswith(s))]
    assert quality.good == name.startswith("Good")
    assert quality.cause in {name, f"0x{PUBLISHED[name]:08X}"}


@given(st.integers(0, 2**32 - 1))
def test_the_upper_half_of_a_code_survives_a_database_int2(code: int) -> None:
    quality = Quality.from_status_code(code)
    assert -(2**15) <= quality < 2**15
    assert quality.status_code == code & 0xFFFF_0000
    assert (quality < 0) == (code >= 0x8000_0000)
    assert quality.good == (code < 0x4000_0000)


def test_a_quality_reads_as_its_name() -> None:
    assert repr(reading.BAD_TIMEOUT) == "Quality(BadTimeout)"
    assert repr(Quality.from_status_code(0x80AB0000)) == "Quality(0x80AB0000)"


def test_now_is_microseconds_and_runs_forward() -> None:
    first, second = now_us(), now_us()
    assert first <= second
    assert 1.6e15 < first < 1e16
