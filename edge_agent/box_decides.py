"""What is decided at the box and by nobody from afar: what may be written to a machine, by whom or what, whose models may run, and from which
folders files of vibration are taken."""

from __future__ import annotations

from edge_agent.config import Config, InspectionConfig
from protocols.errors import ConfigError
from protocols.text import Text


def check_from_afar(config: Config, in_force: Config) -> None:
    """Raise ConfigError if `config`, wanted from afar, opens a machine, lets a station write to one or trusts a key that `in_force` does not.

    A point that may be written stays exactly as it is, its device's connection included: under its name a person at the
    box would otherwise write elsewhere. Taking a permission away is allowed.
    """
    devices = {device.name: device for device in in_force.devices}
    for number, device in enumerate(config.devices, 1):
        before = devices.get(device.name)
        known = {point.name: point for point in before.points} if before else {}
        for point in device.points:
            if point.write is not None and (
                before is None or known.get(point.name) != point or before.connection != device.connection
            ):
                raise ConfigError(
                    Text(
                        f"'{point.name}' of {device.name} may be written, and that is decided at the box only",
                        f"{device.name} 的“{point.name}”允许写入，只能在本机上设定",
                    ),
                    Text("leave its write rule out, or change it at the box", "请去掉 write，或在本机上修改"),
                    key=f"device[{number}].point",
                )
    stations = {station.device: _decides(station) for station in in_force.inspections}
    trusted = {key for judging in in_force.judging for key in judging.trust}
    keys = [f"inspection[{number}]" for number, _ in enumerate(config.inspections, 1)]
    keys += [f"machine_health[{number}]" for number, _ in enumerate(config.machine_health, 1)]
    keys += [f"forecast[{number}]" for number, _ in enumerate(config.forecasts, 1)]
    for key, judging in zip(keys, config.judging, strict=True):
        if not trusted.issuperset(judging.trust):
            raise ConfigError(
                Text(
                    f"{judging.device} would trust a model key that this box does not",
                    f"{judging.device} 将信任本机未信任的模型公钥",
                ),
                Text("add the key at the box", "请在本机上添加该公钥"),
                key=f"{key}.trust",
            )
    for number, station in enumerate(config.inspections, 1):
        if station.output is not None and _decides(station) != stations.get(station.device):
            raise ConfigError(
                Text(
                    f"{station.device} writes to {station.output.device}; what, and by which pictures, is decided at the box only",
                    f"{station.device} 会写入 {station.output.device}；写什么、依据哪些图片，只能在本机上设定",
                ),
                Text("leave the output out, or change the station at the box", "请去掉 output，或在本机上修改该工位"),
                key=f"inspection[{number}].output",
            )
    folders = {watch.waveform.folder for watch in in_force.machine_health if watch.waveform}
    for number, watch in enumerate(config.machine_health, 1):
        if watch.waveform and watch.waveform.folder not in folders:
            raise ConfigError(
                Text(
                    f"{watch.device} would take, and in the end remove, files of a folder that this box has not named",
                    f"{watch.device} 将取走并最终删除本机未指定文件夹中的文件",
                ),
                Text("name the folder at the box", "请在本机上指定该文件夹"),
                key=f"machine_health[{number}].waveform.folder",
            )


def _decides(station: InspectionConfig) -> tuple[object, ...]:
    """Return what a station's writes depend on besides its model, whose key the box trusts."""
    return station.output, station.camera, station.trigger, station.folder
