"""[[inspection]]: what is inspected, by which model, when a picture is taken and what a rejected part sets off."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Annotated, Literal

from pydantic import Field, SecretStr, field_validator, model_validator

from edge_agent.config_points import Collected, find_point
from edge_agent.config_tables import Name, PublicKeys, RelativePath, Table, network_address
from models.verdict import Verdict
from protocols.errors import ConfigError, SunmaoError
from protocols.text import Text

_VIDEO_DEVICE = re.compile(r"/dev/(video\d+|v4l/by-(id|path)/[\w.:+-]+)")
_THIS_BOX = ("localhost", "127.0.0.1", "::1")

CameraKind = Literal["snapshot", "rtsp", "usb"]
_UNUSED: Mapping[CameraKind, frozenset[str]] = {
    "snapshot": frozenset({"max_age_s", "keyframes", "size"}),
    "rtsp": frozenset({"auth", "size"}),
    "usb": frozenset({"user", "password", "auth", "keyframes"}),
}


class CameraConfig(Table):
    """[inspection.camera]: a camera that hands out its present picture at an address, or that sends video."""

    url: str = Field(
        description="Where the camera is: its snapshot, http:// or https://, which answers with a JPEG or PNG; its video,"
        " rtsp://; or a USB camera, /dev/video0. Video needs sunmao-iiot[camera]."
    )
    user: str | None = Field(None, min_length=1, description="User name at the camera, if it asks for one.")
    password: SecretStr | None = Field(None, description="Password of that user.")
    auth: Literal["digest", "basic"] = Field("digest", description="How the camera checks them, for a snapshot.")
    timeout_s: float = Field(
        2.0, ge=0.05, le=60, description="Longest wait in seconds for a picture, and for the next data of a video."
    )
    max_age_s: float = Field(
        1.0, ge=0.05, le=60, description="Oldest picture of a video that is taken, in seconds; an older one is refused."
    )
    keyframes: bool = Field(
        False,
        description="Decode only the key frames of a video over the network: costs least, and pictures are as old as the"
        " camera's key frames are apart.",
    )
    size: str | None = Field(
        None, pattern=r"^[1-9]\d{1,4}x[1-9]\d{1,4}$", description='Picture size of a USB camera, e.g. "1280x720".'
    )

    @property
    def kind(self) -> CameraKind:
        """What kind of camera is at the address."""
        return "usb" if self.url.startswith("/") else "rtsp" if self.url.startswith("rtsp:") else "snapshot"

    @field_validator("url")
    @classmethod
    def _address(cls, url: str) -> str:
        if not _VIDEO_DEVICE.fullmatch(url) and network_address(url, "http", "https", "rtsp") is None:
            shown = url.rpartition("@")[2]  # a password may stand before it, and the sentence travels to the cloud
            raise ValueError(
                Text(
                    f"'{shown}' is not an address like http://192.168.1.20/snapshot.jpg, rtsp://192.168.1.20/stream or"
                    " /dev/video0; user and password are keys of their own",
                    f"“{shown}”不是形如 http://192.168.1.20/snapshot.jpg、rtsp://192.168.1.20/stream 或 /dev/video0 的地址；"
                    "用户名和密码请写在各自的键中",
                )
            )
        return url

    @model_validator(mode="after")
    def _keys_of_its_kind(self) -> CameraConfig:
        for key in sorted(self.model_fields_set & _UNUSED[self.kind]):
            raise ConfigError(
                Text(f"'{key}' means nothing to the camera {self.url}", f"“{key}”对相机 {self.url} 没有意义"),
                Text("remove it", "请删除"),
                key=f"camera.{key}",
            )
        return self


class TriggerConfig(Table):
    """[inspection.trigger]: when a picture is taken - by a point that this agent collects, or by the clock."""

    device: str | None = Field(
        None, description="Device whose point triggers; without it pictures are taken by the clock."
    )
    point: str | None = Field(None, description="Point that triggers.")
    on: Literal["rise", "change"] = Field(
        "rise",
        description='"rise": from false or 0 to anything else; "change": any other value, as of a counter of parts.',
    )
    part_point: str | None = Field(
        None, description="Point of the same device that holds the part's identifier; else the time names the part."
    )
    period_s: float | None = Field(None, ge=0.05, le=86400, description="Seconds between pictures taken by the clock.")
    deadline_s: float = Field(
        1.0, ge=0.05, le=60, description="Seconds from the trigger to the verdict; a later one is marked as late."
    )
    waiting: int = Field(
        16,
        ge=1,
        le=1000,
        description="Most pictures that wait for their verdict; a trigger beyond is dropped, counted.",
    )

    @model_validator(mode="after")
    def _by_point_or_clock(self) -> TriggerConfig:
        if (self.device is None) != (self.point is None) or (self.point is None) == (self.period_s is None):
            raise ConfigError(
                Text("needs either device and point, or period_s", "须给出 device 和 point，或者 period_s"),
                Text(
                    'write e.g. device = "press-1", point = "part_present"',
                    '例如 device = "press-1", point = "part_present"',
                ),
                key="trigger.point",
            )
        if self.part_point is not None and self.device is None:
            raise ConfigError(
                Text("part_point belongs to a device that triggers", "part_point 须与触发设备一起使用"),
                Text("add device and point, or remove part_point", "请添加 device 和 point，或删除 part_point"),
                key="trigger.part_point",
            )
        return self


class OutputConfig(Table):
    """[inspection.output]: the point that is written when a part is rejected; off where there is no such table."""

    device: str = Field(description="Device that is written to.")
    point: str = Field(description="Its point, which needs a write rule of its own; the agent needs allow_writes.")
    reject: bool | int | float | str = Field(description="Value written for each part that is rejected.")
    safe: bool | int | float | str | None = Field(
        None, description="Value written when a verdict is late or missing and when the station stops judging."
    )


class RemoteConfig(Table):
    """[inspection.remote]: a stronger machine that is asked about doubtful parts; pictures are sent there."""

    url: str = Field(description="Address of `sunmao-cloud compute serve`; https:// unless it is on this box.")
    token: SecretStr = Field(min_length=1, description="Its token.")
    ca: RelativePath | None = Field(
        None, description="PEM file of your own certificate authority; the public ones are trusted where absent."
    )
    verdicts: list[Verdict] = Field(
        ["review"], min_length=1, description="Verdicts of this box that are doubtful enough to ask."
    )
    per_minute: int = Field(60, ge=1, le=6000, description="Most questions a minute: each may cost money.")
    timeout_s: float = Field(0.5, ge=0.05, le=30, description="Longest wait for an answer in seconds.")

    @field_validator("url")
    @classmethod
    def _address(cls, url: str) -> str:
        parts = network_address(url, "http", "https")
        if parts is None or not (parts.scheme == "https" or parts.hostname in _THIS_BOX):
            raise ValueError(
                Text(
                    f"'{url}' is not an address like https://host:8700; http:// is for this box only",
                    f"“{url}”不是形如 https://主机:8700 的地址；http:// 仅限本机",
                )
            )
        return url.rstrip("/")


class InspectionConfig(Table):
    """[[inspection]]: a folder of pictures judged by a signed model bundle."""

    device: Name = Field(description="Name of the inspection station; one equipment in the cloud.")
    folder: RelativePath = Field(description="Folder in which the camera leaves its pictures.")
    bundle: RelativePath = Field(description="Folder of the signed model bundle.")
    trust: PublicKeys = Field(description="Base64 Ed25519 public keys whose signatures are accepted.")
    keep: int = Field(200, ge=0, description="How many judged pictures stay in the folder's done/.")
    drift_parts: int = Field(
        200,
        ge=50,
        le=5000,
        description="Parts, as of a shift, that are compared with the first 200 that passed, for drift.",
    )
    shifts: list[Annotated[str, Field(pattern=r"^([01]\d|2[0-3]):[0-5]\d$")]] = Field(
        [],
        max_length=12,
        description='When shifts begin, by the box\'s clock, e.g. ["06:00", "14:00", "22:00"]: drift is then told of each shift, too. Where the'
        " plant's calendar has shifts for the station's line, these are used instead.",
    )
    part_pattern: str | None = Field(
        None,
        description="Regular expression with the groups lot and serial, either or both, that finds them in a part's name,"
        ' e.g. "(?P<lot>[A-Z]+[0-9]+)-(?P<serial>[0-9]+)".',
    )
    camera: CameraConfig | None = Field(None, description="Camera to take pictures from, into the folder.")
    trigger: TriggerConfig | None = Field(None, description="When the camera's picture is fetched.")
    output: OutputConfig | None = Field(None, description="What is written when a part is rejected.")
    remote: RemoteConfig | None = Field(None, description="Who is asked for a second opinion on doubtful parts.")

    @field_validator("part_pattern")
    @classmethod
    def _finds_lot_or_serial(cls, pattern: str | None) -> str | None:
        try:
            groups = set(re.compile(pattern).groupindex) if pattern is not None else {"lot"}
        except re.error as error:
            raise ValueError(Text(f"no regular expression: {error}", f"不是有效的正则表达式：{error}")) from error
        if not groups or groups - {"lot", "serial"}:
            raise ValueError(
                Text(
                    "its groups have to be lot and serial, either or both, e.g. (?P<lot>[A-Z]+[0-9]+)-(?P<serial>[0-9]+)",
                    "分组须为 lot 和 serial(其一或两者)，例如 (?P<lot>[A-Z]+[0-9]+)-(?P<serial>[0-9]+)",
                )
            )
        return pattern

    @model_validator(mode="after")
    def _camera_with_trigger(self) -> InspectionConfig:
        if (self.camera is None) != (self.trigger is None):
            raise ConfigError(
                Text("a camera needs a trigger, and a trigger a camera", "camera 与 trigger 须同时给出"),
                Text("add the table that is missing, or remove both", "请补上缺少的表，或两者都删除"),
                key="camera",
            )
        return self


def check_inspections(
    inspections: Sequence[InspectionConfig], devices: Sequence[Collected], allow_writes: bool
) -> None:
    """Raise ConfigError naming the key where a station's trigger or output is no point of `devices`, or not writable."""
    for number, inspection in enumerate(inspections, 1):
        key = f"inspection[{number}]"
        if (trigger := inspection.trigger) and trigger.device and trigger.point:
            find_point(devices, trigger.device, trigger.point, f"{key}.trigger")
            if trigger.part_point:
                find_point(devices, trigger.device, trigger.part_point, f"{key}.trigger", "part_point")
        if output := inspection.output:
            point = find_point(devices, output.device, output.point, f"{key}.output")
            if not allow_writes:
                raise ConfigError(
                    Text("this agent may not write to devices", "本代理不允许写入设备"),
                    Text(
                        "set agent.allow_writes = true, or remove the output",
                        "请设置 agent.allow_writes = true，或删除 output",
                    ),
                    key=f"{key}.output",
                )
            for name, value in (("reject", output.reject), ("safe", output.safe)):
                try:
                    if value is not None:
                        point.check_write(value)
                except SunmaoError as error:
                    raise ConfigError(error.what, error.mend, key=f"{key}.output.{name}") from error
