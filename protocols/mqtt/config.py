"""How to reach an MQTT broker, and where in its messages one point is found."""

from __future__ import annotations

import ssl
from functools import cached_property
from typing import Literal

from pydantic import (
    Field,
    StrictBool,
    StrictInt,
    StrictStr,
    ValidationInfo,
    field_validator,
    model_validator,
)

from protocols.driver import PointConfig
from protocols.errors import ConfigError
from protocols.secured import FilePath, SecuredConnection
from protocols.text import Text

TimeFormat = Literal["iso8601", "s", "ms", "us"]
JsonPath = tuple[str, ...]

VALUE, TEXT = "{value}", "{text}"
"""Where the value goes in the message of a command: as JSON, and as it is read by people."""


class BrokerConnection(SecuredConnection):
    """One broker. Paths are relative to the folder of the configuration file."""

    advised_security = "tls"

    host: str = Field(min_length=1, pattern=r"^[^\s/@]+$", description="Name or IP address of the broker.")
    port: int | None = Field(None, ge=1, le=65535, description="TCP port; 8883 with TLS and 1883 without where absent.")
    security: Literal["none", "tls"] = Field(
        description='"tls" (encrypted, the broker\'s certificate is checked), or "none": everybody on the network can'
        " read and change what is sent. There is no default."
    )
    ca: FilePath | None = Field(
        None,
        description="Certificates (PEM) of the authorities that may vouch for the broker; the system's where absent.",
    )
    certificate: FilePath | None = Field(
        None, description="This agent's client certificate (PEM), where the broker asks."
    )
    key: FilePath | None = Field(None, description="Private key of the client certificate (PEM).")
    client_id: str | None = Field(
        None,
        min_length=1,
        max_length=65535,
        description="Name of this client at the broker, unique there; a random one where absent.",
    )
    version: Literal["3.1.1", "5"] = Field("3.1.1", description="Version of MQTT.")
    keepalive_s: int = Field(
        30, ge=2, le=65535, description="Longest time in seconds in which nothing is asked of the broker."
    )

    @model_validator(mode="after")
    def _parts_belong_together(self) -> BrokerConnection:
        if (self.certificate is None) != (self.key is None):
            raise ConfigError(
                Text("certificate and key go together", "certificate 与 key 必须同时填写"),
                Text("give both, or neither", "请两项都填，或都不填"),
                key="key" if self.key is None else "certificate",
            )
        for name in ("ca", "certificate"):
            if self.security == "none" and getattr(self, name) is not None:
                raise ConfigError(
                    Text('it has no use where security = "none"', 'security = "none" 时此项无效'),
                    Text('write security = "tls", or remove it', '请写 security = "tls"，或删除此项'),
                    key=name,
                )
        return self

    @property
    def address(self) -> str:
        """Host and port, as people write them."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.broker_port}"

    @property
    def broker_port(self) -> int:
        """The port to connect to."""
        return self.port or (8883 if self.security == "tls" else 1883)

    def tls(self) -> ssl.SSLContext | None:
        """Return the TLS settings, None without security; raises ConfigError for a file that cannot be used."""
        if self.security == "none":
            return None
        context = ssl.create_default_context()
        key = "ca"
        try:
            if self.ca is not None:
                context = ssl.create_default_context(cafile=self.ca)
            if self.certificate is not None:
                key = "certificate"
                context.load_cert_chain(self.certificate, self.key)
        except (OSError, ssl.SSLError) as error:
            path, why = getattr(self, key), error.strerror or str(error)
            raise ConfigError(
                Text(f"{path} cannot be used: {why}", f"{path} 无法使用：{why}"),
                Text("give a PEM file that this agent may read", "请提供本机可读的 PEM 文件"),
                key=key,
            ) from error
        return context


class MqttConnection(BrokerConnection):
    """The broker a device is listened to at."""

    qos: Literal[0, 1] = Field(1, description="Quality of service asked for: 0 at most once, 1 at least once.")
    stale_s: float | None = Field(
        None, gt=0, description="A point unheard of for so many seconds turns bad; never where absent."
    )
    rebirth: bool = Field(
        True,
        description="Ask a Sparkplug node for its birth certificate where it is needed; but for what a person has written,"
        " nothing else is ever published.",
    )


class MqttPoint(PointConfig):
    """One value in the messages of a JSON topic, or one metric of a Sparkplug B node or device."""

    topic: str | None = Field(None, description="Topic of JSON messages, without wildcards.")
    value: str = Field(
        "",
        description="Where in the message the value is: a JSON pointer (/zones/0/temperature) or the same with dots"
        " (zones.0.temperature); the whole message where empty.",
    )
    time: str | None = Field(
        None, description="Where in the message the time of the value is; the time of arrival counts where absent."
    )
    time_format: TimeFormat = Field(
        "iso8601",
        description='How `time` is written: "iso8601" with an offset, or a number of "s", "ms", "us" since 1970.',
    )
    quality: str | None = Field(
        None, description="Where in the message the device says whether the value is good; needs `good`."
    )
    good: tuple[StrictBool | StrictInt | StrictStr, ...] = Field(
        (), description="What stands at `quality` when the value is good; anything else is bad."
    )
    numeric_text: bool = Field(False, description='Take a number that is written as text, as in {"t": "21.5"}.')
    sparkplug: str | None = Field(
        None, description="Sparkplug B source: <group>/<edge node> or <group>/<edge node>/<device>."
    )
    metric: str | None = Field(None, min_length=1, description="Name of the metric in its birth certificate.")
    command_topic: str | None = Field(
        None, description="Topic on which the device takes a new value; a Sparkplug metric is commanded under its name."
    )
    command: str = Field(
        VALUE,
        description="Message of a command: {value} stands for the value as JSON, {text} for the same without quotes, as in"
        ' {"speed": {value}}.',
    )
    confirm_s: float = Field(
        5.0, gt=0, le=60, description="Longest wait in seconds until the device shows a value that was written."
    )

    @field_validator("topic", "command_topic")
    @classmethod
    def _topic_is_one(cls, topic: str | None, info: ValidationInfo) -> str | None:
        # MQTT 5, 4.7 and 4.8: a topic name has 1 to 65535 bytes and no wildcards; $share begins a shared filter.
        if topic is not None and (
            not topic
            or any(sign in topic for sign in "+#\0")
            or topic.startswith("$share/")
            or len(topic.encode()) > 65535
        ):
            raise ConfigError(
                Text(f"'{topic}' is not the topic of one message", f"“{topic}”不是单个消息的主题"),
                Text("write it whole, without + and #", "请写完整主题，不含 + 和 #"),
                key=info.field_name,
            )
        return topic

    @field_validator("command")
    @classmethod
    def _command_has_a_place_for_the_value(cls, command: str) -> str:
        if sum(command.count(place) for place in (VALUE, TEXT)) != 1:
            raise ConfigError(
                Text(f"'{command}' has no one place for the value", f"“{command}”中没有唯一的取值位置"),
                Text(
                    'write {value} or {text} once, as in {"speed": {value}}',
                    '请写一次 {value} 或 {text}，例如 {"speed": {value}}',
                ),
                key="command",
            )
        return command

    @field_validator("sparkplug")
    @classmethod
    def _sparkplug_is_a_source(cls, source: str | None) -> str | None:
        # Sparkplug 3.0, 4.1: ids are UTF-8 text without / + #
        parts = source.split("/") if source is not None else ["", ""]
        if source is not None and (
            len(parts) not in (2, 3) or not all(parts) or any(sign in source for sign in "+#\0") or len(source) > 1000
        ):
            raise ConfigError(
                Text(f"'{source}' is not a Sparkplug source", f"“{source}”不是 Sparkplug 数据源"),
                Text("write <group>/<node> or <group>/<node>/<device>", "请写成 <组>/<节点> 或 <组>/<节点>/<设备>"),
                key="sparkplug",
            )
        return source

    @model_validator(mode="after")
    def _address_is_whole(self) -> MqttPoint:
        if (self.topic is None) == (self.sparkplug is None):
            raise ConfigError(
                Text("a point has either a topic or a Sparkplug source", "点必须且只能有 topic 或 sparkplug 之一"),
                Text("write topic, or sparkplug and metric", "请写 topic，或写 sparkplug 与 metric"),
                key="topic",
            )
        if (self.sparkplug is None) != (self.metric is None):
            raise ConfigError(
                Text("sparkplug and metric go together", "sparkplug 与 metric 必须同时填写"),
                Text("write both", "请两项都填"),
                key="metric" if self.metric is None else "sparkplug",
            )
        if self.sparkplug is not None:
            for name in ("value", "time", "quality", "command_topic"):
                if getattr(self, name):
                    raise ConfigError(
                        Text("a Sparkplug metric has its own", "Sparkplug 指标自带此项"),
                        Text("remove it", "请删除"),
                        key=name,
                    )
        if self.write is not None and self.topic is not None and self.command_topic is None:
            raise ConfigError(
                Text("the device takes new values on a topic of its own", "设备通过专门的主题接收新值"),
                Text("write it here, see the device's manual", "请按设备手册填写该主题"),
                key="command_topic",
            )
        if self.command_topic is not None and self.command_topic == self.topic:
            raise ConfigError(
                Text("a command heard as the state would confirm itself", "命令若被当作状态接收，便成了自我确认"),
                Text("choose the topic on which the device tells its state", "topic 请填写设备发布状态的主题"),
                key="command_topic",
            )
        if (self.quality is None) != (not self.good):
            raise ConfigError(
                Text("quality and good go together", "quality 与 good 必须同时填写"),
                Text('as in quality = "q", good = [192]', '例如 quality = "q"，good = [192]'),
                key="good" if not self.good else "quality",
            )
        return self

    @cached_property
    def paths(self) -> tuple[JsonPath, JsonPath | None, JsonPath | None]:
        """Where value, time and quality are, as keys from the outermost in."""
        return (
            json_path(self.value),
            None if self.time is None else json_path(self.time),
            None if self.quality is None else json_path(self.quality),
        )


def json_path(text: str) -> JsonPath:
    """Return the keys that `text` names: a JSON pointer (RFC 6901) if it begins with a slash, else parted by dots."""
    if text.startswith("/"):
        return tuple(part.replace("~1", "/").replace("~0", "~") for part in text[1:].split("/"))
    return tuple(text.split(".")) if text else ()
