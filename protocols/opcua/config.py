"""How to reach an OPC UA server, and how one of its variables is named."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from pydantic import Field, field_validator, model_validator

from protocols.driver import PointConfig
from protocols.errors import ConfigError
from protocols.opcua.codec import NodeAddress, parse_node
from protocols.opcua.profiles import profiles
from protocols.secured import FilePath, SecuredConnection
from protocols.text import Text

Security = Literal["none", "basic256sha256", "aes128sha256rsaoaep", "aes256sha256rsapss"]
"""A security policy of Part 7; "none" only by that word."""


class OpcuaConnection(SecuredConnection):
    """One OPC UA server. Paths are relative to the folder of the configuration file."""

    advised_security = "basic256sha256"

    endpoint: str = Field(description="Address of the server: opc.tcp://<host>:<port>[/<path>]; port 4840 if absent.")
    security: Security = Field(
        description='"basic256sha256", "aes128sha256rsaoaep" or "aes256sha256rsapss", or "none": everybody on the network'
        " can read and change what is sent. There is no default."
    )
    security_mode: Literal["sign_and_encrypt", "sign"] = Field(
        "sign_and_encrypt",
        description='What is done with each message where security is not "none"; "sign": nobody can change what is'
        " sent, everybody on the network can read it.",
    )
    certificate: FilePath = Field(
        Path("pki/own/certificate.der"),
        description="This agent's application certificate (DER or PEM); made with its key on first use.",
        validate_default=True,
    )
    key: FilePath = Field(
        Path("pki/own/private-key.pem"),
        description="Private key of the certificate (PEM), readable by its owner only.",
        validate_default=True,
    )
    trust_dir: FilePath = Field(
        Path("pki/trusted"),
        description="A server is trusted when its certificate lies here; unknown ones are saved to `rejected` beside it.",
        validate_default=True,
    )
    user_certificate: FilePath | None = Field(
        None, description="Certificate (DER or PEM) to log in with instead of user and password; needs user_key."
    )
    user_key: FilePath | None = Field(None, description="Private key (PEM) of the user's certificate.")
    profile: str | None = Field(
        None,
        description="Which of the vendors' servers in profiles.toml this is; recognised by its build information where"
        ' absent. "none": go by what the server says alone.',
    )
    per_request: int | None = Field(
        None,
        ge=1,
        le=100_000,
        description="Most nodes or items in one request; the server's own limits, and the profile's, where absent.",
    )
    mode: Literal["subscribe", "poll"] = Field(
        "subscribe", description="Have changes sent by the server, or read every point each period."
    )
    machine: str | None = Field(
        None,
        min_length=1,
        description="Browse name of the machine that the first * in the points' paths stands for; where absent, the one"
        " that has most of the points.",
    )
    publishing_s: float = Field(
        0.25, ge=0.01, le=60, description="How often the server sends what has changed, in seconds."
    )
    sampling_s: float | None = Field(
        None,
        gt=0,
        description="How often the server looks at a value, in seconds; a quarter of the points' period where absent, so"
        " that a value that changes once a period loses none. The period itself halves the server's work at least.",
    )
    queue_size: int | None = Field(
        None,
        ge=1,
        le=1000,
        description="Changes of one point the server keeps between two sendings; where absent 20, or twice what sampling"
        " can find.",
    )
    keepalive_s: float = Field(
        2.0,
        ge=0.1,
        le=60,
        description="The server says at least this often that it is alive; three misses end the connection.",
    )
    history_s: float = Field(
        86_400.0,
        ge=0,
        le=31_536_000,
        description="After an outage, what was missed is fetched from the server's history, where it keeps one, at most"
        " so many seconds back; 0 = never.",
    )

    @field_validator("endpoint")
    @classmethod
    def _endpoint_is_an_address(cls, endpoint: str) -> str:
        mend = Text("write opc.tcp://<host>:<port>", "请写成 opc.tcp://<主机>:<端口>")
        try:
            parts = urlsplit(endpoint)
            port = parts.port or 4840
        except ValueError as error:
            raise ConfigError(Text(f"'{endpoint}': {error}", f"“{endpoint}”无效"), mend, key="endpoint") from error
        if parts.scheme != "opc.tcp" or not parts.hostname:
            raise ConfigError(
                Text(f"'{endpoint}' is not an OPC UA address", f"“{endpoint}”不是 OPC UA 地址"), mend, key="endpoint"
            )
        if "@" in parts.netloc:
            raise ConfigError(
                Text("the endpoint contains a user or password", "地址中含有用户名或密码"),
                Text("move them to the keys user and password", "请改用 user 与 password 两个键"),
                key="endpoint",
            )
        host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
        return f"opc.tcp://{host}:{port}{parts.path}"

    @field_validator("profile")
    @classmethod
    def _profile_is_known(cls, profile: str | None) -> str | None:
        if profile not in {None, "none", *profiles()}:
            known = ", ".join(["none", *profiles()])
            raise ConfigError(
                Text(f"unknown profile '{profile}'", f"未知的服务器类型“{profile}”"),
                Text(f"choose one of: {known}", f"可选：{known}"),
                key="profile",
            )
        return profile

    @model_validator(mode="after")
    def _users_are_one_and_whole(self) -> OpcuaConnection:
        if (self.user_certificate is None) != (self.user_key is None) or (self.user and self.user_certificate):
            raise ConfigError(
                Text(
                    "a user has either a name, or both user_certificate and user_key",
                    "用户须用用户名登录，或同时给出 user_certificate 与 user_key",
                ),
                Text("remove one of the two ways, or add what is missing", "请去掉其中一种，或补全缺少的项"),
                key="user_certificate",
            )
        return self


class OpcuaPoint(PointConfig):
    """One variable of an OPC UA server, by its node or by its place."""

    node: str | None = Field(
        None,
        description="Node by namespace URI: nsu=<URI>;s=<name> (or i=<number>, g=<GUID>, b=<base64>);"
        " i=<number> alone is a node of the OPC UA standard.",
    )
    path: str | None = Field(
        None,
        pattern=r"^[^/]+(/[^/]+)*$",
        description="Instead of node, the place below the Objects folder: browse names joined by /, without namespaces;"
        " * stands for any one name. How the machines of a companion specification are addressed.",
    )
    deadband: float | None = Field(
        None,
        gt=0,
        description="Changes up to this are not sent, in the unit of the engineering value; kept by the server.",
    )
    deadband_percent: float | None = Field(
        None,
        gt=0,
        le=100,
        description="The same in percent of the node's EURange, for nodes that have one. Excludes deadband.",
    )

    @field_validator("node")
    @classmethod
    def _node_is_an_address(cls, node: str | None) -> str | None:
        return None if node is None else str(parse_node(node))

    @model_validator(mode="after")
    def _has_one_address(self) -> OpcuaPoint:
        if (self.node is None) == (self.path is None):
            raise ConfigError(
                Text("a point has either a node or a path", "每个点须有 node 或 path，且只能有一个"),
                Text('write node = "nsu=<namespace URI>;s=<name>"', '请写成 node = "nsu=<命名空间 URI>;s=<名称>"'),
                key="node",
            )
        return self

    @model_validator(mode="after")
    def _has_one_deadband(self) -> OpcuaPoint:
        if self.deadband is not None and self.deadband_percent is not None:
            raise ConfigError(
                Text("a point has either deadband or deadband_percent", "deadband 与 deadband_percent 只能有一个"),
                Text("remove one of them", "请去掉其中一个"),
                key="deadband",
            )
        return self

    @cached_property
    def address(self) -> NodeAddress | None:
        """The parsed `node`; None for a point found by its path."""
        return None if self.node is None else parse_node(self.node)
