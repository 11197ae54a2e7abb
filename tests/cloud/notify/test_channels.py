"""Channels against real servers that check what they get as the vendors document it."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any
from uuid import UUID

import psycopg
import pytest

from cloud.core.db import Database
from cloud.notify.schemas import Attachment, Notice
from cloud.notify.service import Notify
from cloud.notify.settings import NotifySettings, Smtp
from tests.cloud.conftest import SECRETS, Company, NewCompany
from tests.doubles.receivers import SECRET, WEBHOOK_SECRET, Mailbox, Receiver, mailbox, receiving

NOTICE = Notice(
    title_en="Hot <oil> [1]",
    title_zh="油温过高",
    body_en="82 °C > 80 °C",
    body_zh="82 °C > 80 °C",
    link="/alarms",
    tone="bad",
)


@pytest.fixture(scope="module")
def mail() -> Iterator[Mailbox]:
    with mailbox() as box:
        yield box


@pytest.fixture(scope="module")
def notify_settings(mail: Mailbox) -> NotifySettings:
    smtp = Smtp("127.0.0.1", "Sunmao <alarms@example.com>", port=mail.port, security="none")
    return NotifySettings(smtp=smtp, allow_networks=["127.0.0.0/8"], address="https://sunmao.example.com")


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as server:
        yield server


@pytest.fixture
def notify(db: Database, notify_settings: NotifySettings) -> Notify:
    return Notify(db, SECRETS, notify_settings)


def requests(receiver: Receiver) -> dict[str, dict[str, Any]]:
    return {
        "dingtalk": {"url": f"{receiver.url}/dingtalk?access_token=token", "secret": SECRET},
        "wecom": {"url": f"{receiver.url}/wecom?key=key"},
        "feishu": {"url": f"{receiver.url}/feishu", "secret": SECRET},
        "webhook": {"url": f"{receiver.url}/webhook", "secret": WEBHOOK_SECRET},
        "email": {"recipients": ["boss@example.com", "li@example.com"]},
    }


async def make(company: Company, kind: str, **body: Any) -> dict[str, Any]:
    answer = await company.http.post("/api/v1/notify/channels", json={"kind": kind, "name": kind, **body})
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = answer.json()
    return found


Items = list[dict[str, Any]]


async def log(company: Company, until: Callable[[Items], bool]) -> Items:
    """Return the log of deliveries once it is as wanted."""
    async with asyncio.timeout(60):
        while True:
            items: Items = (await company.http.get("/api/v1/notify/deliveries")).json()["items"]
            if until(items):
                return items
            await asyncio.sleep(0.05)


def reason(item: dict[str, Any]) -> str:
    return str(item["reason_en"] or "")


async def settled(company: Company, count: int) -> Items:
    """Wait until `count` notices are sent or given up."""
    return await log(company, lambda items: sum(item["state"] != "waiting" for item in items) >= count)


async def tell(db: Database, notify: Notify, company: Company, channels: list[UUID], *keys: str) -> None:
    async with db.tenant(company.scope) as connection:
        for key in keys:
            await notify.tell(connection, channels, key, NOTICE)


async def test_every_kind_takes_its_test_message_and_its_secret_is_nowhere(
    company: Company, receiver: Receiver, mail: Mailbox, owner_dsn: str
) -> None:
    secrets = (SECRET, WEBHOOK_SECRET, "access_token", "key=key")
    for kind, body in requests(receiver).items():
        channel = await make(company, kind, **body)
        tested = (await company.http.post(f"/api/v1/notify/channels/{channel['id']}/test")).json()
        assert (kind, tested["state"], tested["reason_en"]) == (kind, "sent", "")
        shown = (await company.http.get("/api/v1/notify/channels")).text
        assert not [secret for secret in secrets if secret in str(channel) + shown]
    with psycopg.connect(owner_dsn) as connection:
        for table in ("notify_channel", "notify_outbox", "audit"):
            stored = str(connection.execute(f"SELECT c::text FROM {table} c").fetchall())  # noqa: S608
            assert not [secret for secret in secrets if secret in stored], table
    assert "测试消息" in mail.mails[-1]["Subject"]
    assert "https://sunmao.example.com/channels" in mail.mails[-1].get_content()
    # A change that leaves the secret out keeps it.
    dingtalk = next(
        one for one in (await company.http.get("/api/v1/notify/channels")).json() if one["kind"] == "dingtalk"
    )
    path = f"/api/v1/notify/channels/{dingtalk['id']}"
    assert (await company.http.put(path, json={"name": "the group"})).json()["signed"]
    assert (await company.http.post(f"{path}/test")).json()["state"] == "sent"
    # With another secret the robot says why it takes nothing, and so do we.
    assert (await company.http.put(path, json={"name": "the group", "secret": "wrong"})).status_code == 200
    refused = (await company.http.post(f"{path}/test")).json()
    assert (refused["state"], "310000: sign not match" in refused["reason_en"]) == ("dead", True)


async def test_a_notice_is_told_if_and_only_if_its_transaction_commits_and_once_per_key(
    company: Company, receiver: Receiver, db: Database, notify: Notify
) -> None:
    channel = await make(company, "webhook", **requests(receiver)["webhook"])
    with suppress(ZeroDivisionError):
        async with db.tenant(company.scope) as connection:
            await notify.tell(connection, [UUID(channel["id"])], "never", NOTICE)
            raise ZeroDivisionError
    await tell(db, notify, company, [UUID(channel["id"])], "a", "a")
    await tell(db, notify, company, [UUID(channel["id"])], "a")
    (only,) = await settled(company, 1)
    (post,) = receiver.posts
    assert post.json["id"] == post.headers["webhook-id"] == only["delivery"]
    assert [notice["title"] for notice in post.json["notices"]] == ["油温过高"]


async def test_what_fails_is_tried_again_as_the_same_message_until_it_is_given_up(
    company: Company, receiver: Receiver, db: Database, notify: Notify, owner_dsn: str
) -> None:
    channel = await make(company, "webhook", **requests(receiver)["webhook"])
    receiver.answers = [(503, {}, b""), (429, {}, b"")]
    await tell(db, notify, company, [UUID(channel["id"])], "a")

    def due_now() -> None:  # instead of waiting out the back-off
        with psycopg.connect(owner_dsn) as connection:
            connection.execute("UPDATE notify_channel SET next_at = '-infinity' WHERE id = %s", [channel["id"]])

    async with asyncio.timeout(60):
        while len(receiver.posts) < 3:
            due_now()
            await asyncio.sleep(0.02)
    (only,) = await settled(company, 1)
    assert (only["state"], only["attempts"]) == ("sent", 3)
    assert len({post.headers["webhook-id"] for post in receiver.posts}) == 1
    # A clear no is not repeated; a redirection is a no; what was given up can be sent after all.
    receiver.answers = [(307, {"Location": f"{receiver.url}/elsewhere"}, b"")]
    await tell(db, notify, company, [UUID(channel["id"])], "b")
    items = await settled(company, 2)
    assert (items[0]["state"], "307" in items[0]["reason_en"]) == ("dead", True)
    assert len(receiver.posts) == 4
    other = await make(company, "wecom", **requests(receiver)["wecom"])
    for asked, found in (
        ({"state": "dead"}, items[:1]),
        ({"state": "waiting"}, []),
        ({"state": "dead", "channel_id": channel["id"], "text": "油温"}, items[:1]),
        ({"text": "307"}, items[:1]),
        ({"text": "OIL"}, items),
        ({"text": "%"}, []),
        ({"channel_id": other["id"]}, []),
    ):
        answer = await company.http.get("/api/v1/notify/deliveries", params=asked)
        assert answer.json()["items"] == found, asked
    assert (await company.http.post(f"/api/v1/notify/deliveries/{items[0]['id']}/retry")).status_code == 202
    await log(company, lambda items: items[0]["state"] == "sent")


async def test_many_notices_are_merged_and_a_robots_rate_is_kept_by_all_processes_together(
    company: Company, receiver: Receiver, db: Database, notify: Notify
) -> None:
    channel = await make(company, "wecom", **requests(receiver)["wecom"])
    others = [Notify(db, SECRETS, NotifySettings(allow_networks=["127.0.0.0/8"])) for _ in range(3)]
    long = NOTICE.model_copy(update={"body_zh": "油" * 400})
    async with db.tenant(company.scope) as connection:
        for index in range(20):
            await notify.tell(connection, [UUID(channel["id"])], f"long-{index}", long)
    for turn in range(24):
        await tell(db, notify, company, [UUID(channel["id"])], str(turn))
        await asyncio.gather(*(other.send_next(company.scope) for other in others))
    assert 5 <= len(receiver.posts) <= 18
    contents = [post.json["markdown"]["content"] for post in receiver.posts]
    assert all(len(content.encode()) <= 4096 for content in contents)
    assert re.search(r"另有 1\d 条", contents[0]), "what has no room is counted"
    assert not any("[1]" in content for content in contents), "no link can be smuggled into the text"


async def test_a_report_goes_by_mail_with_its_file_and_a_mail_server_that_is_busy_is_asked_again(
    company: Company, receiver: Receiver, mail: Mailbox, db: Database, notify: Notify
) -> None:
    email = UUID((await make(company, "email", **requests(receiver)["email"], language="en"))["id"])
    webhook = UUID((await make(company, "webhook", **requests(receiver)["webhook"]))["id"])
    mail.answer = "451 try again later"
    async with db.tenant(company.scope) as connection:
        report = Attachment("月报.csv", "text/csv", b"OEE;0.81\n")
        await notify.tell(connection, [email, webhook], "report", NOTICE, report)
    (busy,) = (each for each in await log(company, lambda items: any(map(reason, items))) if reason(each))
    assert ("451 try again later" in reason(busy), busy["state"]) == (True, "waiting")
    mail.answer = ""
    before = len(mail.mails)
    assert (await company.http.post(f"/api/v1/notify/channels/{email}/test")).json()["state"] == "sent"
    report_mail = mail.mails[before]
    assert report_mail["To"] == "boss@example.com, li@example.com"
    (part,) = report_mail.iter_attachments()
    assert (part.get_filename(), part.get_content()) == ("月报.csv", "OEE;0.81\n")
    assert report_mail["Message-ID"].endswith("@example.com>")


async def test_what_waits_on_a_channel_that_is_removed_is_not_sent(company: Company, receiver: Receiver) -> None:
    channel = await make(company, "feishu", **requests(receiver)["feishu"])
    again = await company.http.post(
        "/api/v1/notify/channels", json={"kind": "feishu", "name": "feishu", "url": "https://a.b"}
    )
    assert again.status_code == 409
    assert (await company.http.delete(f"/api/v1/notify/channels/{channel['id']}")).status_code == 204
    assert (await company.http.post(f"/api/v1/notify/channels/{channel['id']}/test")).status_code == 404
    assert (await company.http.get("/api/v1/notify/channels")).json() == []
    await make(company, "feishu", **requests(receiver)["feishu"])


async def test_another_company_reads_and_uses_nothing(
    new_company: NewCompany, receiver: Receiver, db: Database, notify: Notify
) -> None:
    theirs, ours = await new_company(), await new_company()
    channel = UUID((await make(theirs, "webhook", **requests(receiver)["webhook"]))["id"])
    await tell(db, notify, ours, [channel], "a")
    assert not await notify.send_next(ours.scope)
    assert receiver.posts == []
