"""Sends e-mails through the operator's mail server."""

from __future__ import annotations

import smtplib
import ssl
from collections.abc import Sequence
from email.message import EmailMessage
from email.utils import formatdate, parseaddr

from cloud.notify.schemas import Attachment
from cloud.notify.settings import Smtp
from protocols.errors import Refused, Unreachable
from protocols.text import Text

TIMEOUT_S = 20.0


def compose(
    sender: str,
    recipients: Sequence[str],
    *,
    identity: str,
    subject: str,
    body: str,
    attachment: Attachment | None = None,
) -> EmailMessage:
    """Return an e-mail in plain text; `identity` becomes its Message-ID, by which a repetition is known."""
    mail = EmailMessage()
    mail["From"] = sender
    mail["To"] = ", ".join(recipients)
    mail["Subject"] = " ".join(subject.split())
    mail["Date"] = formatdate()
    mail["Message-ID"] = f"<{identity}@{parseaddr(sender)[1].rpartition('@')[2] or 'sunmao'}>"
    mail["Auto-Submitted"] = "auto-generated"  # RFC 3834: absence notes are not answered to it
    mail.set_content(body)
    if attachment:
        kind, _, of = attachment.media_type.partition("/")
        mail.add_attachment(attachment.content, maintype=kind, subtype=of, filename=attachment.name)
    return mail


def send(smtp: Smtp | None, mail: EmailMessage) -> None:
    """Hand `mail` to the server; blocks. Raises Unreachable to be tried again, Refused where that is of no use."""
    if smtp is None:
        raise Refused(
            Text("this cloud has no mail server", "本云端未配置邮件服务器"),
            Text("the operator enters one under [smtp] in notify.toml", "请运维人员在 notify.toml 的 [smtp] 中配置"),
        )
    where = f"{smtp.host}:{smtp.port}"
    try:
        with _connect(smtp) as server:
            if smtp.user:
                server.login(smtp.user, smtp.password)
            refused = server.send_message(mail)
    except smtplib.SMTPRecipientsRefused as error:
        raise _answered(where, *next(iter(error.recipients.values()))) from error
    except smtplib.SMTPResponseException as error:
        raise _answered(where, error.smtp_code, error.smtp_error) from error
    except (smtplib.SMTPException, OSError) as error:
        raise Unreachable(
            Text(f"mail server {where} does not answer: {error}", f"邮件服务器 {where} 无应答：{error}")
        ) from error
    if refused:
        raise Refused(
            Text(
                f"{where} refused {', '.join(refused)}; the others have it",
                f"{where} 拒收 {', '.join(refused)}，其余已送达",
            )
        )


def _connect(smtp: Smtp) -> smtplib.SMTP:
    context = ssl.create_default_context()
    if smtp.security == "tls":
        return smtplib.SMTP_SSL(smtp.host, smtp.port, timeout=TIMEOUT_S, context=context)
    server = smtplib.SMTP(smtp.host, smtp.port, timeout=TIMEOUT_S)
    if smtp.security == "starttls":
        try:
            server.starttls(context=context)
        except BaseException:
            server.close()
            raise
    return server


def _answered(where: str, code: int, answer: bytes | str) -> Refused | Unreachable:
    """Return what an SMTP answer means: 4xx is for now, 5xx for good (RFC 5321, 4.2.1)."""
    said = answer.decode(errors="replace") if isinstance(answer, bytes) else answer
    text = Text(f"mail server {where} answered {code} {said}", f"邮件服务器 {where} 返回 {code} {said}")
    return Unreachable(text) if 400 <= code < 500 else Refused(text)
