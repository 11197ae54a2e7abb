"""Application certificates: our own, made once and kept, and the list of servers a person has decided to trust.

Trust is by presence: a server is trusted when its very certificate lies in the trust folder. There is no certificate
authority to run and nothing to revoke but a file to delete, which suits a works with a dozen machines.
"""

from __future__ import annotations

import os
import socket
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from protocols.errors import ConfigError, Refused
from protocols.text import Text

WARN = timedelta(days=60)
"""How long before its end a certificate is announced: time to plan a visit to the machine that has to trust the next."""

_VALID = timedelta(days=3650)
_KEY_BITS = 2048
"""Least length of an RSA key in all three supported policies (Part 7, SecurityPolicy facets)."""


class Identity(NamedTuple):
    """An application certificate with its private key."""

    certificate: x509.Certificate
    key: rsa.RSAPrivateKey
    application_uri: str


def own_identity(certificate_path: Path, key_path: Path, application: str) -> Identity:
    """Return the identity in these two files, made now if neither exists.

    Args:
        certificate_path: DER or PEM; written as DER.
        key_path: PEM, written readable by its owner only.
        application: last part of the application URI of a new certificate, `urn:<host>:sunmao:<application>`.

    Raises ConfigError if the files cannot be used or do not belong together.
    """
    if not certificate_path.exists() and not key_path.exists():
        _create(certificate_path, key_path, application)
    certificate, key = load_pair(certificate_path, key_path)
    named = uris(certificate)
    if not named:
        raise ConfigError(
            Text(
                f"{certificate_path} is not an OPC UA application certificate",
                f"{certificate_path} 不是 OPC UA 应用证书",
            ),
            Text(
                "it needs its application URI as a subject alternative name;"
                " remove it and its key to have new ones made",
                "证书须在使用者可选名称中包含应用 URI；删除证书与私钥可重新生成",
            ),
            key="certificate",
        )
    return Identity(certificate, key, named[0])


class Pair(NamedTuple):
    """A certificate with its private key."""

    certificate: x509.Certificate
    key: rsa.RSAPrivateKey


def load_pair(certificate_path: Path, key_path: Path) -> Pair:
    """Return the certificate and the key in these files; raises ConfigError if they are not to be used together."""
    try:
        certificate = load_certificate(certificate_path.read_bytes())
        key = load_pem_private_key(key_path.read_bytes(), None)
    except OSError as error:
        raise ConfigError(
            Text(f"{error.filename}: {error.strerror}", f"{error.filename}：{error.strerror}"),
            Text(
                "certificate and key must both be there; those of this agent may both be absent, to be made new",
                "证书和私钥须同时存在；本机的证书和私钥若同时不存在，则自动生成",
            ),
            key="certificate",
        ) from error
    except (ValueError, TypeError) as error:
        raise ConfigError(
            Text(f"{certificate_path} or {key_path}: {error}", f"{certificate_path} 或 {key_path} 无法解析：{error}"),
            Text(
                "a certificate is DER or PEM, a key is PEM without a pass phrase",
                "证书须为 DER 或 PEM 格式，私钥须为无口令的 PEM 格式",
            ),
            key="certificate",
        ) from error
    if not isinstance(key, rsa.RSAPrivateKey) or key.public_key() != certificate.public_key():
        raise ConfigError(
            Text(
                f"{certificate_path} is not an RSA certificate for the key {key_path}",
                f"{certificate_path} 不是 RSA 私钥 {key_path} 对应的证书",
            ),
            Text("name the files that belong together", "请填写配对的文件"),
            key="certificate",
        )
    return Pair(certificate, key)


def expiry_notice(certificate: x509.Certificate, path: Path) -> Text | None:
    """Return what to say of our own certificate at `path` when its end is nearer than `WARN`; None before."""
    end = certificate.not_valid_after_utc
    if end - datetime.now(UTC) > WARN:
        return None
    return Text(
        f"this agent's certificate {path} ends on {end:%Y-%m-%d}; in time, remove it and its key to have new ones made,"
        " and trust the new one at the machine",
        f"本机证书 {path} 将于 {end:%Y-%m-%d} 到期；请及时删除该证书及其私钥以重新生成，并在设备上信任新证书",
    )


def fingerprint(certificate: x509.Certificate) -> str:
    """Return the SHA-256 fingerprint, in upper-case pairs as certificate viewers show it."""
    return certificate.fingerprint(hashes.SHA256()).hex(":").upper()


def server_certificate(der: bytes) -> x509.Certificate:
    """Return the first certificate of `der`, which may be a whole chain; raises ValueError if it is none."""
    length = 4 + int.from_bytes(der[2:4], "big")  # outer SEQUENCE, long form with two length bytes
    return x509.load_der_x509_certificate(der[:length])


def rejected_dir(trust_dir: Path) -> Path:
    """Return the folder of the certificates that wait for a person's decision."""
    return trust_dir.parent / "rejected"


def check_trusted(certificate: x509.Certificate, application_uri: str, trust_dir: Path) -> None:
    """Raise Refused unless a person trusts `certificate` and it is sound.

    An unknown certificate is saved to `rejected_dir`, to be approved by a person who has compared the fingerprint (see
    `protocols.opcua.trust`). Soundness: key length, term of validity, application URI (Part 4, 6.1.3).
    """
    print_ = fingerprint(certificate)
    if not _is_in(certificate, trust_dir):
        file = rejected_dir(trust_dir) / f"{print_.replace(':', '').lower()}.der"
        _write(file, certificate.public_bytes(Encoding.DER), 0o644)
        raise Refused(
            Text(
                f"the server's certificate is not trusted; its SHA-256 fingerprint is {print_}",
                f"服务器证书未受信任，其 SHA-256 指纹为 {print_}",
            ),
            Text(
                "compare it with the fingerprint shown at the machine; if equal, `sunmao-edge trust approve"
                f" {print_}`, or move {file} to {trust_dir}",
                f"请与设备上显示的指纹核对，一致则执行 `sunmao-edge trust approve {print_}`，或将 {file} 移到 {trust_dir}",
            ),
        )
    now = datetime.now(UTC)
    public_key = certificate.public_key()
    if not certificate.not_valid_before_utc <= now <= certificate.not_valid_after_utc:
        what = Text(
            f"the server's certificate is valid from {certificate.not_valid_before_utc:%Y-%m-%d}"
            f" to {certificate.not_valid_after_utc:%Y-%m-%d}, and it is {now:%Y-%m-%d %H:%M} UTC",
            f"服务器证书有效期为 {certificate.not_valid_before_utc:%Y-%m-%d} 至"
            f" {certificate.not_valid_after_utc:%Y-%m-%d}，当前时间为 {now:%Y-%m-%d %H:%M}（UTC）",
        )
        mend = Text(
            "check this box's clock; then renew the certificate at the machine", "请检查本机时钟，再在设备上更新证书"
        )
    elif not isinstance(public_key, rsa.RSAPublicKey) or public_key.key_size < _KEY_BITS:
        what = Text("the server's certificate has a weak key", "服务器证书的密钥强度不足")
        mend = Text("make a new one with RSA 2048 bits or more", "请重新生成 RSA 2048 位以上的证书")
    elif application_uri not in uris(certificate):
        what = Text(
            f"the server's certificate is not made for its application URI {application_uri}",
            f"服务器证书与其应用 URI {application_uri} 不符",
        )
        mend = Text("make a new certificate at the machine", "请在设备上重新生成证书")
    else:
        return
    raise Refused(what, mend)


def _is_in(certificate: x509.Certificate, folder: Path) -> bool:
    for file in sorted(folder.iterdir()) if folder.is_dir() else ():
        try:
            if load_certificate(file.read_bytes()) == certificate:
                return True
        except (OSError, ValueError):
            continue  # some other file; it trusts nobody
    return False


def load_certificate(data: bytes) -> x509.Certificate:
    """Return the certificate in `data`, DER or PEM; raises ValueError if it is none."""
    if data.lstrip().startswith(b"-----BEGIN"):
        return x509.load_pem_x509_certificate(data)
    return x509.load_der_x509_certificate(data)


def uris(certificate: x509.Certificate) -> list[str]:
    """Return the URIs among the subject alternative names; the first is the application's (Part 6, 6.2.2)."""
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except x509.ExtensionNotFound:
        return []
    return names.value.get_values_for_type(x509.UniformResourceIdentifier)


def _create(certificate_path: Path, key_path: Path, application: str) -> None:
    host = socket.gethostname()
    key = rsa.generate_private_key(public_exponent=65537, key_size=_KEY_BITS)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"Sunmao {application} on {host}"[:64])])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))  # a machine's clock may be behind
        .not_valid_after(now + _VALID)
        .add_extension(
            x509.SubjectAlternativeName(
                [x509.UniformResourceIdentifier(f"urn:{host}:sunmao:{application}"), x509.DNSName(host)]
            ),
            critical=False,
        )
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(key.public_key()), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(
            x509.KeyUsage(  # as Part 6, 6.2.2 asks of an application instance certificate
                digital_signature=True,
                content_commitment=True,
                key_encipherment=True,
                data_encipherment=True,
                key_agreement=False,
                key_cert_sign=True,  # self-signed
                crl_sign=False,
                encipher_only=False,
                decipher_only=False,
            ),
            critical=True,
        )
        .add_extension(
            x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH]), critical=False
        )
        .sign(key, hashes.SHA256())
    )
    _write(key_path, key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()), 0o600)
    _write(certificate_path, certificate.public_bytes(Encoding.DER), 0o644)


def _write(path: Path, data: bytes, mode: int) -> None:
    """Write `data` with access rights `mode`, whole or not at all; raises ConfigError if it cannot be written."""
    part = path.with_name(path.name + ".part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part.unlink(missing_ok=True)
        with open(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except OSError as error:
        raise ConfigError(
            Text(f"{path} cannot be written: {error.strerror}", f"无法写入 {path}：{error.strerror}"),
            Text("make the folder writable for this user", "请给当前用户该文件夹的写权限"),
            key="certificate",
        ) from error
