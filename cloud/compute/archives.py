"""Programs of the customer's own: uploaded by content, signed by a key that the company trusts, and what a job of one asks."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from hashlib import sha256

from cloud.compute.schemas import PythonRun, Upload
from cloud.compute.store import uploads
from cloud.core import audit
from cloud.core.db import AsyncConnection, Database
from cloud.core.errors import Conflict, Invalid
from cloud.core.principal import Principal, TenantScope
from cloud.registry.service import Registry
from models.archive import read_archive
from models.errors import BundleRefused
from models.task import ARCHIVE, INPUT, Limits, PythonTask
from protocols.text import Text

MOST_UPLOAD_BYTES = 64 << 20
UNUSED = timedelta(days=30)
"""How long an upload stays after it was last used."""
_MOST_BYTES = 1 << 30
_FULL = Text(
    f"All uploads together may have {_MOST_BYTES >> 30} GiB; what was not used for {UNUSED.days} days goes.",
    f"上传文件合计上限 {_MOST_BYTES >> 30} GiB，{UNUSED.days} 天未使用的将被清除。",
)
_EMPTY = Text("The file is empty.", "文件为空。")


class Uploads:
    """A company's files for jobs."""

    def __init__(self, db: Database) -> None:
        self._db = db

    async def put(self, principal: Principal, content: bytes) -> Upload:
        """Keep a file; the same one again changes nothing. Raises Invalid, Conflict where there are too many already."""
        if not content:
            raise Invalid(_EMPTY)
        digest = sha256(content).hexdigest()
        async with self._db.tenant(principal.scope) as connection:
            await uploads.lock(connection)
            if await uploads.total(connection, digest) + len(content) > _MOST_BYTES:
                raise Conflict(_FULL)
            row = {"digest": digest, "size": len(content), "content": content, "by": principal.actor}
            await uploads.put(connection, row)
            await audit.record(connection, principal.actor, "upload.add", digest, after={"size": len(content)})
        return Upload(digest=digest, size=len(content))

    async def all(self, scope: TenantScope) -> list[Upload]:
        """Return the company's uploads, last used first."""
        async with self._db.tenant(scope) as connection:
            return [Upload(**row) for row in await uploads.select(connection)]

    async def sizes(self, scope: TenantScope, run: PythonRun) -> int:
        """Return what a job's files come to; raises Invalid naming one that has not been uploaded."""
        async with self._db.tenant(scope) as connection:
            found = await uploads.sizes(connection, _digests(run))
        _refuse_missing(run, found)
        return found[run.archive] + sum(found[digest] for digest in run.inputs.values())

    async def drop_old(self, scope: TenantScope) -> None:
        """Forget what was not used for long."""
        async with self._db.tenant(scope) as connection:
            await uploads.drop_old(connection, UNUSED)


async def order_of(
    connection: AsyncConnection, registry: Registry, scope: TenantScope, run: PythonRun
) -> tuple[PythonTask, dict[str, bytes]]:
    """Return the order and the files of a run; raises Invalid where one is missing, or the archive is not to be trusted."""
    found = await uploads.use(connection, _digests(run))
    _refuse_missing(run, found)
    trust = [key.public_key for key in await registry.keys(scope)]
    try:
        archive = await asyncio.to_thread(read_archive, found[run.archive], trust)
    except BundleRefused as error:
        mend = "Enter the public key of who signs it under Models.", "请在“模型”页登记签名者的公钥。"
        en, zh = mend if error.reason == "untrusted" else ("", "")
        raise Invalid(Text(f"{error.en[0].upper()}{error.en[1:]}. {en}".strip(), f"{error.zh}。{zh}")) from error
    module = run.entry.partition(":")[0].replace(".", "/")
    if not {f"{module}.py", f"{module}/__init__.py"} & archive.files.keys():
        raise Invalid(Text(f"There is no {module}.py in the archive.", f"归档中没有 {module}.py。"))
    order = PythonTask(
        run.entry,
        archive.signer,
        sorted(run.inputs),
        run.parameters,
        run.network,
        run.disk_mb << 20,
        run.time_s,
        Limits(int(run.memory_gb * (1 << 30)), cpu_s=86_400),
    )
    files = {f"{INPUT}{name}": found[digest] for name, digest in run.inputs.items()}
    return order, files | {ARCHIVE: found[run.archive]}


def _digests(run: PythonRun) -> set[str]:
    return {run.archive, *run.inputs.values()}


def _refuse_missing(run: PythonRun, found: dict[str, int] | dict[str, bytes]) -> None:
    for name, digest in {"archive": run.archive, **run.inputs}.items():
        if digest not in found:
            raise Invalid(
                Text(
                    f"{name} ({digest[:12]}…) has not been uploaded: POST /api/v1/compute/uploads.",
                    f"{name}({digest[:12]}…)尚未上传：POST /api/v1/compute/uploads。",
                )
            )
