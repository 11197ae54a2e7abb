"""`sunmao-cloud compute` on a provider's machine: work for an offer, run a task by hand, be a node of a cluster, serve a model."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cloud.console import Json, Lang, answer, content_of, explained
from protocols.errors import ConfigError
from protocols.text import Text, choose_language

if TYPE_CHECKING:
    from cloud.compute.engine import Engine

_GIVE = Text("give a file you may read", "请提供可读取的文件")
_TOKEN_LEAST = 32
Ray = Annotated[
    str | None,
    typer.Option(
        "--ray",
        help="Compute on the Ray cluster of this site: HOST:PORT of its head. Ray 集群主节点地址。",
    ),
]
RayToken = Annotated[Path, typer.Option("--ray-token", help="File with the cluster's token. 集群令牌文件。")]
_RAY_TOKEN = Path("ray-token")


def register(app: typer.Typer) -> None:
    """Add the commands to `app`."""
    for command in (work, run, node, serve):
        app.command(command.__name__)(command)


def work(
    *,
    url: Annotated[str, typer.Option("--url", help="Address of the platform. 平台地址。")],
    token_file: Annotated[
        Path, typer.Option("--token-file", help="File with the token of the offer. 存放算力令牌的文件。")
    ],
    folder: Annotated[
        Path, typer.Option("--folder", help="Where the key and the meter are kept. 密钥与计量记录目录。")
    ] = Path("sunmao-worker"),
    jobs: Annotated[
        int | None, typer.Option("--jobs", min=1, help="End after so many jobs. 完成若干作业后退出。")
    ] = None,
    ray: Ray = None,
    ray_token: RayToken = _RAY_TOKEN,
    as_json: Json = False,
    lang: Lang = None,
) -> None:
    """Work for an offer: prove the chip, then run its jobs until Ctrl-C. 运行算力节点，按 Ctrl-C 停止。"""
    import asyncio
    import logging
    import signal
    from contextlib import suppress

    from cloud.compute.worker import Worker

    language = choose_language(lang)
    logging.basicConfig(format="%(message)s", level=logging.WARNING)
    with explained(language, as_json):
        token = content_of(token_file, "--token-file", _GIVE).strip()

        async def run() -> None:
            engine = _engine(ray, ray_token)
            async with Worker(url, token, folder, engine) as worker:
                found = await worker.greet()
                told = {"code": found.code, "chip": found.chip, "proven": found.proven, "contained": engine.contained}
                answer(
                    as_json,
                    told,
                    _greeting(found.code, found.chip, contained=engine.contained, proven=found.proven),
                    language,
                )
                await worker.work(jobs)
            engine.close()

        signal.signal(signal.SIGTERM, signal.default_int_handler)
        with suppress(KeyboardInterrupt):
            asyncio.run(run())


def run(
    folder: Annotated[Path, typer.Argument(help="A task: task.json and the files it names. 任务目录。")],
    *,
    provider: Annotated[
        str, typer.Option("--provider", help="ONNX Runtime's provider. 执行提供程序。")
    ] = "CPUExecutionProvider",
    ray: Ray = None,
    ray_token: RayToken = _RAY_TOKEN,
    as_json: Json = False,
    lang: Lang = None,
) -> None:
    """Run a task on this machine, as a worker would; status 1 if it fails. 在本机运行任务。"""
    import asyncio

    language = choose_language(lang)
    with explained(language, as_json):
        if not (folder / "task.json").is_file():
            raise ConfigError(
                Text(f"{folder} has no task.json", f"{folder} 中没有 task.json"),
                Text("a task is a folder as docs/compute.md shows", "任务目录的格式见 docs/compute.zh.md"),
                key="FOLDER",
            )
        engine = _engine(ray, ray_token)
        outcome = asyncio.run(engine.run(folder.absolute(), provider, lambda _: None))
        engine.close()
        failed = outcome.failed or {"en": f"it ended by {outcome.code}", "zh": f"进程以 {outcome.code} 结束"}
        done = outcome.result is not None
        said = Text("Done.", "已完成。") if done else Text(failed["en"], failed["zh"])
        answer(
            as_json,
            {"done": done, "result": outcome.result, "reason": "" if done else said.to(language)},
            said,
            language,
        )
        if not done:
            raise typer.Exit(1)


def node(
    *,
    address: Annotated[
        str, typer.Option("--address", help="This machine's address within the site. 本机在站点内的地址。")
    ],
    join: Annotated[
        str | None, typer.Option("--join", help="HOST:PORT of the cluster's head; else this is the head. 主节点地址。")
    ] = None,
    port: Annotated[int, typer.Option("--port", help="Where the head listens. 主节点端口。")] = 6379,
    ray_token: RayToken = _RAY_TOKEN,
    lang: Lang = None,
) -> None:
    """Be a node of a site's Ray cluster until Ctrl-C; only who has the token gets in. 作为 Ray 集群节点运行。"""
    from cloud.compute.ray_site import environment, node_command

    with explained(choose_language(lang), as_json=False):
        command, more = node_command(address, port, join), environment(ray_token)
        try:
            os.execve(command[0], command, os.environ | more)  # noqa: S606 - Ray's own command takes this one's place
        except FileNotFoundError as error:
            raise _without_ray(error) from error


def serve(
    bundle: Annotated[Path, typer.Argument(help="Folder of a signed model. 已签名的模型目录。")],
    *,
    trust: Annotated[
        list[str], typer.Option("--trust", help="Public key whose signature counts; may be repeated. 信任的公钥。")
    ],
    token_file: Annotated[
        Path,
        typer.Option(
            "--token-file",
            help="File with the token that is asked of callers; with --url that of the offer. 存放访问令牌(或算力令牌)的文件。",
        ),
    ],
    url: Annotated[
        str | None,
        typer.Option(
            "--url", help="Address of the platform: opinions are metered for the offer. 平台地址，按报价计量。"
        ),
    ] = None,
    folder: Annotated[
        Path, typer.Option("--folder", help="Where what was counted is kept, with --url. 计量记录目录。")
    ] = Path("sunmao-worker"),
    host: Annotated[str, typer.Option("--host", help="Where it listens. 监听地址。")] = "127.0.0.1",
    port: Annotated[
        int, typer.Option("--port", min=0, max=65535, help="0 for any free one. 监听端口，0 为任意。")
    ] = 8700,
    models: Annotated[
        int,
        typer.Option(
            "--models", min=1, max=64, help="Pictures inspected at a time, each by a model of its own. 并行数。"
        ),
    ] = 1,
    as_json: Json = False,
    lang: Lang = None,
) -> None:
    """Give second opinions on pictures by a model kept warm, until Ctrl-C. 常驻模型，提供远程检测。"""
    import asyncio
    import signal
    from contextlib import suppress

    import uvicorn

    from cloud.compute.inspection_server import InspectionServer
    from cloud.compute.opinion_meter import OpinionMeter
    from cloud.core.port import listen

    language = choose_language(lang)
    with explained(language, as_json):
        token = content_of(token_file, "--token-file", _GIVE).strip()
        if len(token) < _TOKEN_LEAST:
            raise ConfigError(
                Text(f"the token has fewer than {_TOKEN_LEAST} characters", f"令牌少于 {_TOKEN_LEAST} 个字符"),
                Text("make one: openssl rand -hex 32", "请生成：openssl rand -hex 32"),
                key="--token-file",
            )

        async def run() -> None:
            meter = OpinionMeter(url, token, folder) if url else None
            app = InspectionServer(bundle, trust, token, meter)
            metering: asyncio.Task[None] | None = None
            try:
                if meter:
                    await meter.start()
                    metering = asyncio.create_task(meter.run())
                await app.start(models)
                listening = listen(host, port)
                address = f"http://{host}:{listening.getsockname()[1]}"
                about = app.about
                said = Text(
                    f"{about['model']} {about['version']} at {address}, by {about['provider']}. Ctrl-C to stop.",
                    f"{about['model']} {about['version']} 已在 {address} 运行({about['provider']})，按 Ctrl-C 停止。",
                )
                answer(as_json, {"url": address, **about}, said, language)
                config = uvicorn.Config(app, lifespan="off", log_level="warning", access_log=False, ws="none")
                await uvicorn.Server(config).serve([listening])
            finally:
                await app.stop()
                if metering:
                    metering.cancel()
                if meter:
                    await meter.close()

        signal.signal(signal.SIGTERM, signal.default_int_handler)  # it still tells what it has counted
        with suppress(KeyboardInterrupt):
            asyncio.run(run())


def _engine(ray: str | None, token: Path) -> Engine:
    if ray is None:
        from cloud.compute.engine import LocalProcess

        return LocalProcess()
    from cloud.compute.ray_site import environment

    os.environ.update(environment(token))  # before Ray is imported: that is when it reads them
    try:
        from cloud.compute.engine_ray import RayCluster
    except ImportError as error:
        raise _without_ray(error) from error
    return RayCluster(ray)


def _without_ray(error: Exception) -> ConfigError:
    return ConfigError(
        Text(f"Ray cannot be used: {error}", f"无法使用 Ray：{error}"),
        Text("install the extra: sunmao-iiot[compute,ray]", "请安装扩展：sunmao-iiot[compute,ray]"),
    )


def _greeting(code: str, chip: str, *, contained: bool, proven: bool) -> Text:
    if not proven:
        return Text(
            f"{code}: this machine does not compute by {chip}, so no job will come; see the offer for why.",
            f"{code}：本机未能以 {chip} 运行，不会分配作业；原因见算力详情。",
        )
    network = (
        Text("", "") if contained else Text(" Jobs cannot be kept from the network here.", " 本机无法隔离作业的网络。")
    )
    return Text(
        f"Working for {code}, proven to compute by {chip}. Ctrl-C to stop.{network.en}",
        f"已为 {code} 提供算力，芯片 {chip} 已验证，按 Ctrl-C 停止。{network.zh}",
    )
