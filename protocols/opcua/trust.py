"""The certificates of servers a person has to decide on: which wait, which are trusted, and the decision itself.

A server's certificate that is not known is saved to the folder `rejected` beside the trust folder (see
`certificates.check_trusted`); trusting it is moving the file, which `approve` does.
"""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from cryptography.x509.oid import NameOID

from protocols.errors import ConfigError
from protocols.opcua.certificates import fingerprint, load_certificate, rejected_dir, uris
from protocols.text import Text

_SEPARATORS = str.maketrans("", "", ": -")


class KnownCertificate(NamedTuple):
    """A certificate in one of the two folders, or this agent's own.

    Attributes:
        name: common name, as certificate viewers show it.
        application_uri: which application it is made for; "" if it does not say.
        ends: the last instant it is good for.
        fingerprint: SHA-256, upper-case pairs with colons, to be compared with the one shown at the machine.
        trusted: whether servers with it are connected to.
    """

    name: str
    application_uri: str
    ends: datetime
    fingerprint: str
    trusted: bool
    file: Path


def known_certificates(trust_dir: Path) -> list[KnownCertificate]:
    """Return the certificates that wait for a decision, then those trusted; files that are none are left out."""
    return [*_of(rejected_dir(trust_dir), False), *_of(trust_dir, True)]


def describe_certificate(file: Path, *, trusted: bool) -> KnownCertificate | None:
    """Return what is in `file`; None if that is no certificate, or nothing."""
    try:
        certificate = load_certificate(file.read_bytes())
    except (OSError, ValueError):
        return None
    names = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    return KnownCertificate(
        str(names[0].value) if names else "",
        next(iter(uris(certificate)), ""),
        certificate.not_valid_after_utc,
        fingerprint(certificate),
        trusted,
        file,
    )


def approve(trust_dir: Path, print_: str) -> KnownCertificate:
    """Trust the waiting certificate with this SHA-256 fingerprint, with or without colons.

    Raises ConfigError if none such waits, or its file cannot be moved. A collector that was refused tries again within a
    minute.
    """
    return _move(trust_dir, print_, trusted=False, to=trust_dir)


def withdraw(trust_dir: Path, print_: str) -> KnownCertificate:
    """Trust the certificate with this fingerprint no longer; raises ConfigError as `approve` does.

    A connection that stands is not cut; it ends with the next restart of either side.
    """
    return _move(trust_dir, print_, trusted=True, to=rejected_dir(trust_dir))


def same_fingerprint(one: str, other: str) -> bool:
    """Return whether two fingerprints are equal, whatever separates their digits."""
    return one.upper().translate(_SEPARATORS) == other.upper().translate(_SEPARATORS)


def _of(folder: Path, trusted: bool) -> list[KnownCertificate]:
    files = sorted(folder.iterdir()) if folder.is_dir() else []
    return [found for file in files if (found := describe_certificate(file, trusted=trusted)) is not None]


def _move(trust_dir: Path, print_: str, *, trusted: bool, to: Path) -> KnownCertificate:
    for known in known_certificates(trust_dir):
        if known.trusted == trusted and same_fingerprint(known.fingerprint, print_):
            target = to / known.file.name
            try:
                to.mkdir(parents=True, exist_ok=True)
                known.file.replace(target)
            except OSError as error:
                raise ConfigError(
                    Text(
                        f"{known.file} cannot be moved to {to}: {error.strerror}",
                        f"无法将 {known.file} 移到 {to}：{error.strerror}",
                    ),
                    Text("make both folders writable for this user", "请给当前用户这两个文件夹的写权限"),
                ) from error
            return known._replace(trusted=not trusted, file=target)
    state = Text("is trusted", "受信任的证书中") if trusted else Text("waits for a decision", "待确认的证书中")
    raise ConfigError(
        Text(f"no certificate with fingerprint {print_} {state.en}", f"{state.zh}没有指纹为 {print_} 的证书"),
        Text("`sunmao-edge trust list` shows those there are", "`sunmao-edge trust list` 可列出现有证书"),
    )
