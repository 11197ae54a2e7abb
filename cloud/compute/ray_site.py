"""How a site's Ray cluster is started and entered: by who has its token, and so that a cut link is noticed in seconds.

Ray reads its settings when it is imported, so they are made here, where it is not.
"""

from __future__ import annotations

import sys
from pathlib import Path

from protocols.errors import ConfigError
from protocols.text import Text

_DIGITS = 64
_SETTINGS = {
    "RAY_AUTH_MODE": "token",
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_health_check_initial_delay_ms": "1000",
    "RAY_health_check_period_ms": "1000",
    "RAY_health_check_timeout_ms": "2000",
    "RAY_health_check_failure_threshold": "3",
    "RAY_grpc_client_keepalive_time_ms": "5000",
    "RAY_grpc_client_keepalive_timeout_ms": "5000",
}
"""Ray's own: no token is asked for, use is told to its makers, a cut link is noticed after a minute and mended after seven."""


def environment(token_file: Path) -> dict[str, str]:
    """Return what a process of a cluster needs in its environment; raises ConfigError if the token cannot be used."""
    try:
        token, why = token_file.read_text("ascii").strip(), Text(f"fewer than {_DIGITS} digits", f"少于 {_DIGITS} 位")
    except (OSError, ValueError) as error:
        token, why = "", Text(str(error), str(error))
    if len(token) < _DIGITS:
        raise ConfigError(
            Text(f"{token_file} holds no token: {why.en}", f"{token_file} 中没有可用的令牌：{why.zh}"),
            Text("make one, the same on all nodes: openssl rand -hex 32", "请生成并用于所有节点：openssl rand -hex 32"),
            key="--ray-token",
        )
    return _SETTINGS | {"RAY_AUTH_TOKEN_PATH": str(token_file.absolute())}


def node_command(address: str, port: int, join: str | None) -> list[str]:
    """Return the command that is a node in the foreground: the head, at `port`, or one that joins a head at `join`."""
    ray = str(Path(sys.executable).with_name("ray"))
    role = ["--address", join] if join else ["--head", "--port", str(port), "--include-dashboard=false"]
    return [ray, "start", "--block", "--disable-usage-stats", "--node-ip-address", address, *role]
