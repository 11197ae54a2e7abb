"""Decoding the unknown: live numeric points of the development maps read rightly after 120 samples at 1 Hz.

`python -m tests.benchmarks.decode` prints the figures per device and in all, for five seeds; `-v` names the points that
were missed. "coherent": values move together as physics has them; "apart": every point by itself, as
`protocols.library.physics` gives it where it has no model of the machine, so that no law can tell a scale. "library":
the real devices of the library as `sunmao-edge simulate` serves them.
"""

from __future__ import annotations

import sys

from rich.console import Console
from rich.table import Table

from edge_agent.onboard.identify import modbus_templates
from tests.edge_agent.onboard_decode.unknown_devices import Score, devices, judge, judge_template

SEEDS = range(1, 6)


def main(verbose: bool) -> None:
    table = Table("device", "values", "live points", "type + order", "sign, too", "and scale", "%", box=None)
    for kind in ("coherent", "apart"):
        total = Score()
        for device in devices():
            score = Score()
            for seed in SEEDS:
                values = device.workshop(seed) if kind == "coherent" else device.library(seed)
                score += judge(device, device.snapshots(values))
            total += score
            table.add_row(device.id, kind, *figures(score))
            if verbose:
                for line in dict.fromkeys(score.wrong):
                    sys.stdout.write(f"{device.id}: {line}\n")
        table.add_row("all", kind, *figures(total), style="bold")
    total = Score()
    for template in modbus_templates():
        score = sum((judge_template(template, seed) for seed in SEEDS), Score())
        total += score
        table.add_row(template.device.id, "library", *figures(score))
        if verbose:
            for line in dict.fromkeys(score.wrong):
                sys.stdout.write(f"{line}\n")
    table.add_row("all", "library", *figures(total), style="bold")
    Console().print(table)


def figures(score: Score) -> tuple[str, ...]:
    share = f"{100 * score.right / score.live:.1f}" if score.live else "-"
    return str(score.live), str(score.layout), str(score.strict), str(score.right), share


if __name__ == "__main__":
    main("-v" in sys.argv[1:])
