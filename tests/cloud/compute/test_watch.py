"""What a job's child writes arrives clean and bounded; what is amiss with a job is said with its evidence, once."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloud.compute.log_lines import MOST_LINES, WIDEST, LogBuffer, clean, secretless
from cloud.compute.watch import IDLE_S, Use, findings, waiting

NOW = datetime(2026, 2, 2, 12, tzinfo=UTC)


@given(st.text(max_size=2000))
def test_no_line_has_what_is_not_seen(text: str) -> None:
    line = clean(text)
    assert len(line) <= WIDEST
    assert all(ch.isprintable() or ch == "\xad" or ord(ch) >= 0xA0 for ch in line)
    assert "\x1b" not in line


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("\x1b[31mred\x1b[0m\r", "red"),
        ("\x1b]0;title\x07after", "after"),
        ("\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\", "link"),
        ("a\tb\x00\u202ec", "a    bc"),
        ("GET https://me:pass@host/", "GET https***host/"),
        ("Authorization: Bearer abc.def", "Authorization: ***"),
        ("token=hunter2 x", "*** x"),
        ("it says sw_0123456789abcdefghijklmnop", "it says ***"),
        ("my worker's own", "my ***'s own"),
    ],
)
def test_escape_sequences_and_secrets_are_taken_out(written: str, shown: str) -> None:
    assert secretless(clean(written), ["worker"]) == shown


def test_what_comes_too_fast_is_left_out_in_the_middle_and_the_end_is_kept() -> None:
    at = 0.0
    buffer = LogBuffer(clock=lambda: at)
    for number in range(10_000):
        buffer.add(f"line {number}")
    first = buffer.take()
    assert first[0] == "... 9600 lines left out"
    assert len(first) == MOST_LINES
    for _ in range(100):
        for _ in range(400):
            buffer.add("x" * 99)
        buffer.take()
    assert sum(len(line) + 1 for line in buffer.take()) == 0, "all that may be sent at once has been"
    at += 1
    sent = buffer.take()
    assert 0 < sum(len(line) + 1 for line in sent) <= 4000 + 100
    buffer.give_back(sent)
    buffer.add("the end")
    assert buffer.last()[-1] == "the end"
    assert len(buffer.last()) == 0


def series(*samples: tuple[float, float, float | None, int]) -> list[Use]:
    return [Use(used, cores, 100, accelerator, done) for used, cores, accelerator, done in samples]


def test_idle_is_an_unused_accelerator_or_none_of_a_core_for_long_enough() -> None:
    busy = [(float(at), 1.0, 80.0, at) for at in range(0, 60, 2)]
    unused = [(60.0 + at, 1.0, 3.0, 60) for at in range(0, int(IDLE_S) + 2, 2)]
    (found,) = [each for each in findings(series(*busy, *unused), 0) if each.kind == "idle"]
    assert found.lasts_s == IDLE_S
    assert "less than 10 % for 120 s (now 3 %)" in found.words.en
    assert findings(series(*busy, *unused[:-1]), 0) == []
    assert findings(series(*busy, *unused, (200.0, 1.0, 50.0, 60)), 0) == []
    asleep = [(float(at), 0.01, None, 0) for at in range(0, 130, 2)]
    (found,) = findings(series(*asleep), 0)
    assert "less than 0.05 of a core" in found.words.en
    assert findings([], 0) == []


def test_stuck_is_ten_times_the_usual_step_and_a_minute() -> None:
    steady = [(10.0 * done, 1.0, None, done) for done in range(11)]
    still = [(100.0 + at, 1.0, None, 10) for at in range(2, 102, 2)]
    (found,) = findings(series(*steady, *still), 40)
    assert (found.kind, found.lasts_s) == ("stuck", 100)
    assert "10 of 40 have been done for 100 s; an item took 10.0 s" in found.words.en
    assert findings(series(*steady, *still[:-1]), 40) == []
    assert findings(series(*steady, *still), 10) == [], "it is done"


def test_a_job_waits_too_long_after_twice_what_was_planned_and_a_minute() -> None:
    assert waiting(NOW, 30, NOW + timedelta(seconds=120)) is None
    found = waiting(NOW, 30, NOW + timedelta(seconds=121))
    assert found is not None
    assert "waited for 121 s since its begin; 30 s were planned" in found.words.en
