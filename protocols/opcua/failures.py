"""Which of the four fates each failure of asyncua or answer of a server is, said in a sentence with its mend."""

from __future__ import annotations

import os

from asyncua import ua
from asyncua.ua import uaerrors

from protocols.errors import Malformed, Refused, SunmaoError, Unreachable
from protocols.opcua.certificates import Identity, fingerprint
from protocols.opcua.config import OpcuaConnection
from protocols.opcua.transport import Socket
from protocols.text import Text

_LOGIN = {
    ua.StatusCodes.BadIdentityTokenInvalid,
    ua.StatusCodes.BadIdentityTokenRejected,
    ua.StatusCodes.BadUserAccessDenied,
    ua.StatusCodes.BadUserSignatureInvalid,
}
_GONE = {
    ua.StatusCodes.BadCommunicationError,
    ua.StatusCodes.BadConnectionClosed,
    ua.StatusCodes.BadConnectionRejected,
    ua.StatusCodes.BadInternalError,
    ua.StatusCodes.BadNoSubscription,
    ua.StatusCodes.BadOutOfMemory,
    ua.StatusCodes.BadOutOfService,
    ua.StatusCodes.BadRequestTimeout,
    ua.StatusCodes.BadResourceUnavailable,
    ua.StatusCodes.BadSecureChannelClosed,
    ua.StatusCodes.BadSecureChannelIdInvalid,
    ua.StatusCodes.BadSecureChannelTokenUnknown,
    ua.StatusCodes.BadServerHalted,
    ua.StatusCodes.BadServerNotConnected,
    ua.StatusCodes.BadSessionClosed,
    ua.StatusCodes.BadSessionIdInvalid,
    ua.StatusCodes.BadSessionNotActivated,
    ua.StatusCodes.BadShutdown,
    ua.StatusCodes.BadSubscriptionIdInvalid,
    ua.StatusCodes.BadTcpInternalError,
    ua.StatusCodes.BadTcpNotEnoughResources,
    ua.StatusCodes.BadTcpServerTooBusy,
    ua.StatusCodes.BadTimeout,
    ua.StatusCodes.BadTooManySessions,
}
_GARBLED = {
    ua.StatusCodes.BadDecodingError,
    ua.StatusCodes.BadEncodingError,
    ua.StatusCodes.BadRequestTooLarge,  # asyncua's word for an answer over our bounds
    ua.StatusCodes.BadSequenceNumberInvalid,
    ua.StatusCodes.BadTcpMessageTooLarge,
    ua.StatusCodes.BadTcpMessageTypeInvalid,
}


def fate(
    error: Exception, device: str, connection: OpcuaConnection, identity: Identity | None, socket: Socket | None
) -> SunmaoError:
    """Return what `error` means to the agent.

    Args:
        error: raised by asyncua.
        device: named in the message.
        connection: what was being talked to.
        identity: the certificate this side showed, if the connection is secured.
        socket: the socket in use, which knows whether the peer or this side hung up.
    """
    endpoint = connection.endpoint
    if isinstance(error, uaerrors.UaStatusCodeError):
        return _status_fate(error.code, device, connection, identity)
    if isinstance(error, OSError):  # also TimeoutError and every ConnectionError
        if socket is not None and socket.refusal is not None:
            return _status_fate(socket.refusal, device, connection, identity)
        if socket is None or not socket.garbled:
            return Unreachable(
                _reason(error, endpoint, connection.timeout_s),
                Text(
                    "check that the machine is on, the cable, the address and the firewall",
                    "请检查设备是否开机，以及网线、地址和防火墙",
                ),
                key=device,
            )
    if isinstance(error, uaerrors.UaError) and "No matching endpoints" in str(error):
        return Refused(
            Text(
                f"{endpoint} offers no connection with security '{connection.security}'",
                f"{endpoint} 不提供安全方式“{connection.security}”的连接",
            ),
            Text("choose another security", "请更改 security"),
            key=device,
        )
    return Malformed(
        Text(
            f"{endpoint} broke the protocol ({type(error).__name__}: {error})",
            f"{endpoint} 的应答不符合协议（{type(error).__name__}: {error}）",
        ),
        Text("check that an OPC UA server listens at this port", "请检查该端口上是否为 OPC UA 服务器"),
        key=device,
    )


def _status_fate(code: int, device: str, connection: OpcuaConnection, identity: Identity | None) -> SunmaoError:
    name, endpoint = ua.StatusCode(code).name, connection.endpoint
    what = Text(f"{endpoint} answered {name}", f"{endpoint} 返回 {name}")
    if code in _GARBLED:
        return Malformed(what, key=device)
    if code in _GONE:
        return Unreachable(what, key=device)
    mend = None
    if identity is not None and (name.startswith("BadCertificate") or code == ua.StatusCodes.BadSecurityChecksFailed):
        what = Text(
            f"{endpoint} does not accept this agent's certificate ({name})", f"{endpoint} 不接受本机证书（{name}）"
        )
        print_ = fingerprint(identity.certificate)
        mend = Text(
            f"at the server, trust {connection.certificate}; its SHA-256 fingerprint is {print_}",
            f"请在服务器上信任证书 {connection.certificate}，其 SHA-256 指纹为 {print_}",
        )
    elif code in _LOGIN:
        user = connection.user
        what = Text(
            f"{endpoint} does not let in {f'user {user!r}' if user else 'anybody without a user'} ({name})",
            f"{endpoint} 拒绝{f'用户“{user}”' if user else '匿名'}登录（{name}）",
        )
        mend = Text("check user and password", "请检查 user 与 password")
    return Refused(what, mend, key=device)


def _reason(error: OSError, endpoint: str, timeout_s: float) -> Text:
    if isinstance(error, TimeoutError) and error.errno is None:
        return Text(f"{endpoint} gave no answer within {timeout_s:g} s", f"{endpoint} 在 {timeout_s:g} 秒内无应答")
    reason = os.strerror(error.errno) if error.errno and error.errno > 0 else str(error)
    return Text(f"{endpoint}: {reason}", f"{endpoint}：{reason}")
