"""What a page about a site's energy shows, computed from its account and from what its machines made; pure functions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from cloud.energy import figures
from cloud.energy.accounts import Account
from cloud.energy.profiles import Profile
from cloud.energy.schemas import BandUse, Contribution, DemandPeak, MachineUse, Meter, Summary, TreeNode
from cloud.fleet.schemas import Equipment

_COUNTED = ("good parts",)


def summarise(account: Account, made: Mapping[UUID, float | None]) -> Summary:
    """Return the summary of a site; `made` is the number of good parts of its machines, where they are counted."""
    meters = account.forest.of_site()
    names = [f"{meter.name} ({meter.basis})" for meter in meters]
    part = account.sum_of(meters).within(account.window)
    cost = account.cost_of(part)
    carrier = account.carrier
    machines = _machines(account, made)
    lines = {machine.line_id: machine.line or "" for machine in account.machines}
    co2, coal = account.factors_over(part, "co2")[1], account.factors_over(part, "coal")[1]
    return Summary(
        site_id=account.site.id,
        carrier=carrier.code,
        unit=carrier.symbol,
        rate=carrier.rate,
        currency=account.currency,
        time_zone=account.zone.key,
        start=account.window.start,
        end=account.window.end,
        energy=figures.consumption(part, carrier, names),
        cost=figures.energy_cost(cost, part, account.currency, names),
        co2=account.emission(part, "co2", names),
        coal=account.emission(part, "coal", names),
        co2_factor=co2[-1] if co2 else None,
        coal_factor=coal[-1] if coal else None,
        bands=[BandUse.model_validate(band._asdict()) for band in cost.bands],
        valley_saving=figures.valley_saving(cost, part, account.currency, names),
        peak=_peak(account, part),
        maximum_demand=figures.maximum_demand(part, carrier, names),
        mean_load=figures.mean_load(part, carrier, names),
        base_load=figures.base_load(part, carrier, names),
        load_factor=figures.load_factor(part, carrier, names),
        night=figures.share(figures.at_night(part, account.zone), part, names),
        weekend=figures.share(figures.at_weekends(part, account.zone), part, names),
        idle=figures.added({str(machine.equipment_id): machine.idle for machine in machines}, carrier.symbol),
        idle_cost=figures.added(
            {str(machine.equipment_id): machine.idle_cost for machine in machines}, account.currency
        ),
        course=figures.daily_course(part, account.zone),
        tree=[_node(account, meter, part.total, lines) for meter in sorted(meters, key=lambda meter: meter.name)],
        machines=machines,
        unconfirmed=sum(not meter.confirmed for meter in account.forest.meters.values()),
    )


def _machines(account: Account, made: Mapping[UUID, float | None]) -> list[MachineUse]:
    uses = []
    for machine in account.machines:
        meters = account.forest.of_equipment(machine.id)
        if meters:
            uses.append(_machine(account, machine, meters, made.get(machine.id)))
    return sorted(uses, key=lambda use: -(use.energy.value or 0.0))


def _machine(account: Account, machine: Equipment, meters: Sequence[Meter], good: float | None) -> MachineUse:
    names = [f"{meter.name} ({meter.basis})" for meter in meters]
    part = account.sum_of(meters).within(account.window)
    energy = figures.consumption(part, account.carrier, names)
    cost = figures.energy_cost(account.cost_of(part), part, account.currency, names)
    known, idle_s = account.activity_of(machine.id, part)
    idle = figures.idle_part(part, idle_s)
    idle_cost = figures.nothing(account.currency, names, figures.NO_STATES)
    if known.any() and cost.value is not None:
        charged = account.cost_of(idle).total
        idle_cost = cost.model_copy(update={"value": charged, "inputs": [*cost.inputs, "states"]})
    idle_energy = figures.idle_energy(part, idle_s, known, account.carrier, names)
    return MachineUse(
        equipment_id=machine.id,
        name=machine.label,
        line=machine.line,
        energy=energy,
        cost=cost,
        idle=idle_energy,
        idle_share=figures.idle_share(idle_energy, energy),
        idle_cost=idle_cost,
        standby=figures.standby_load(part, idle_s, account.carrier, names),
        specific=figures.specific_energy(energy, good, _COUNTED),
        good=good,
    )


def _peak(account: Account, part: Profile) -> DemandPeak | None:
    found = figures.demand(part)
    if found is None:
        return None
    shares = []
    for machine in account.machines:
        meters = account.forest.of_equipment(machine.id)
        if meters:
            during = account.sum_of(meters).within(found.window)
            shares.append(
                Contribution(
                    equipment_id=machine.id, name=machine.label, load=during.total * 3600 / found.window.seconds
                )
            )
    charge = account.terms.demand if account.terms else None
    return DemandPeak(
        load=found.load,
        start=found.window.start,
        end=found.window.end,
        contract=charge.contract if charge and charge.kind == "maximum_demand" else None,
        contributors=sorted(shares, key=lambda share: -share.load),
    )


def _node(account: Account, meter: Meter, whole: float, names: Mapping[UUID | None, str]) -> TreeNode:
    """Return the tree behind a meter; machines of a line stand together, unless the meter is the line's own."""
    lines: dict[UUID, list[Meter]] = {}
    children = []
    for child in account.forest.children(meter):
        line = account.forest.line_of(child)
        if line is None or child.line_id or account.forest.line_of(meter) == line:
            children.append(_node(account, child, whole, names))
        else:
            lines.setdefault(line, []).append(child)
    for line, behind in lines.items():
        children.append(
            TreeNode(
                kind="line",
                id=line,
                name=names.get(line, ""),
                children=_ranked([_node(account, child, whole, names) for child in behind]),
                **_amount(account, account.sum_of(behind), whole),
            )
        )
    children = _ranked(children)
    left = account.rest_of(meter)
    if left is not None:
        children.append(TreeNode(kind="rest", id=None, name="", children=[], **_amount(account, left, whole)))
    return TreeNode(
        kind="equipment" if meter.equipment_id else "meter",
        id=account.forest.part_of(meter.id).meter_id,
        name=meter.name,
        basis=meter.basis,
        confirmed=meter.confirmed,
        children=children,
        **_amount(account, account.profile_of(meter), whole),
    )


def _amount(account: Account, profile: Profile, whole: float) -> dict[str, Any]:
    part = profile.within(account.window)
    energy = figures.consumption(part, account.carrier, [])
    return {"energy": energy, "share": part.total / whole if whole > 0 else None}


def _ranked(nodes: Sequence[TreeNode]) -> list[TreeNode]:
    return sorted(nodes, key=lambda node: -(node.energy.value or 0.0))
