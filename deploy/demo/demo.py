"""`make demo`: a small plant as separate processes over real TCP, from simulated machines to live pages.

Without DEMO_SECONDS it serves until Ctrl-C. With DEMO_SECONDS=N it runs N seconds, ends the sources, lets the agent drain,
counts what was collected against what is stored, writes .demo/summary.json and exits 0 only if everything adds up.
With --images it takes the README's pictures and ends.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import msgspec
from rich.console import Console

from deploy.demo.figures import LiveWatch, Summary, close_counts
from deploy.demo.platform import EMAIL, PASSWORD, Platform
from deploy.demo.processes import Plant, wait_until
from protocols.errors import ConfigError, SunmaoError
from protocols.reading import now_us
from protocols.text import Text, choose_language

FOLDER = Path(".demo")
SEED = 18
"""A series whose first shots hold a defective part."""
MACHINES = {
    "moulder-1": ("demo-injection-moulder", ()),
    "compressor-1": ("demo-air-compressor", ()),
    "meter-1": ("demo-energy-meter", ("--load", "demo-injection-moulder", "--load", "demo-air-compressor")),
}
KILL_AFTER_S = 20.0
TRUTH = "truth.jsonl"


class Demo:
    """The plant; says what it does in the language of the shell."""

    def __init__(self, plant: Plant) -> None:
        self.plant = plant
        self.platform = Platform(plant)
        self.language = choose_language()
        self.console = Console(highlight=False)
        self.begun = time.monotonic()
        self.start_us = now_us()
        self.ready_after_s = 0.0
        self.watch = LiveWatch(self.platform)

    def say(self, en: str, zh: str) -> None:
        """Print one step."""
        line = f"[dim]{time.monotonic() - self.begun:5.1f} s[/]  {Text(en, zh).to(self.language)}"
        self.console.print(line, soft_wrap=True)

    def start(self) -> None:
        """Bring everything up; what does not wait for one another starts side by side."""
        with ThreadPoolExecutor() as pool:
            cloud = pool.submit(self._cloud)
            trust = pool.submit(self._model)
            addresses = {name: pool.submit(self._machine, name) for name in MACHINES}
            self._camera()
            self._configure({name: address.result() for name, address in addresses.items()}, trust.result())
            cloud.result()
        self._agent()

    def _machine(self, name: str) -> str:
        template, options = MACHINES[name]
        series = ("--seed", str(SEED), "--start", str(self.start_us))
        address = self.platform.simulate(name, template, *series, *options)
        protocol = "OPC UA" if address.startswith("opc.tcp") else "Modbus TCP"
        self.say(
            f"{name} ({template}) answers on {address}, {protocol}",
            f"{name}({template})已在 {address} 应答，{protocol}",
        )
        return address

    def _camera(self) -> None:
        series = ("--seed", str(SEED), "--start", str(self.start_us))
        camera = ("python", "-P", "-m", "deploy.demo.camera", "--folder", "pictures", "--truth", TRUTH)
        self.plant.start("camera-1", *camera, *series)
        self.say(
            "camera-1 takes a picture of every moulded part; some show a defect",
            "camera-1 为每个注塑件拍照，其中有缺陷件",
        )

    def _model(self) -> str:
        key = self.plant.run("sunmao-model", "key", "create", "key.pem")
        self.plant.run(
            "sunmao-model", "fit", "vision", "--zoo", "part-surface", "--out", "part-surface", "--key", "key.pem"
        )
        self.say(
            "inspection model fitted on 200 good parts and signed (part-surface)",
            "已用 200 件良品训练检验模型并签名(part-surface)",
        )
        return str(key["trust"])

    def _cloud(self) -> None:
        self.platform.start_cloud()
        self.say(
            "cloud is up on its own PostgreSQL; company, workshop and manager follow",
            "云端已启动(内置 PostgreSQL),正在创建企业、车间与管理员",
        )
        self.platform.create_tenant()
        self.watch.start()

    def _configure(self, addresses: dict[str, str], trust: str) -> None:
        inspection = (
            f'[[inspection]]\ndevice = "camera-1"\nfolder = "pictures"\nbundle = "part-surface"\ntrust = ["{trust}"]\n'
        )
        devices = [(name, MACHINES[name][0], address) for name, address in addresses.items()]
        self.platform.write_config(devices, inspection)

    def _agent(self) -> None:
        self.platform.enrol()
        self.say(
            "agent enrolled with a one-time code; its key stays with it", "代理已用一次性注册码完成注册，密钥不出本机"
        )
        self.platform.start_agent()
        devices = len(MACHINES) + 1
        wait_until(
            lambda: len({value["equipment_id"] for value in self.platform.get("/latest")}) == devices,
            60,
            Text("values of every device", "所有设备的数据"),
            self.plant.check,
        )
        self.ready_after_s = round(time.monotonic() - self.begun, 1)
        self.say("values of every machine are live", "所有设备的数据已实时可见")
        self.console.print(f"\n  [bold]{self.platform.url}[/]   {EMAIL} / {PASSWORD}\n", soft_wrap=True)

    def run(self, seconds: float | None) -> None:
        """Keep going for `seconds`, or until Ctrl-C; kill the agent once on the way."""
        end = time.monotonic() + seconds if seconds is not None else None
        self._watch_until(time.monotonic() + (KILL_AFTER_S if seconds is None else seconds / 2))
        self.plant.kill("agent")
        self.say("agent killed with SIGKILL, as a power cut would", "已用 SIGKILL 强杀代理，模拟断电")
        self.platform.start_agent()
        self.say("agent started again; it goes on where its disk says it was", "代理已重新启动，从磁盘记录处继续")
        self._watch_until(end)

    def _watch_until(self, end: float | None) -> None:
        while end is None or time.monotonic() < end:
            self.plant.check()
            time.sleep(0.2)

    def close(self) -> Summary:
        """End the sources, let the agent drain and return the figures."""
        memory = {name: self.platform.memory_mb(name) for name in ("agent", "cloud")}
        for name in ("camera-1", *MACHINES):
            self.plant.stop(name)
        self.say("sources ended; the agent drains its buffer", "数据源已停止，代理正在清空缓存")
        return close_counts(
            self.platform, self.plant.folder / TRUTH, self.watch, started_in_s=self.ready_after_s, memory_mb=memory
        )


def main() -> int:
    """Run the demo and return its exit status."""
    language = choose_language()
    try:
        seconds = _seconds()
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
        with _fresh(FOLDER.resolve()) as folder, Plant(folder) as plant:
            demo = Demo(plant)
            demo.start()
            if "--images" in sys.argv:
                return _take_images(demo)
            if seconds is None:
                demo.say("Ctrl-C ends it", "按 Ctrl-C 结束")
            demo.run(seconds)
            summary = demo.close()
            (folder / "summary.json").write_bytes(msgspec.json.format(msgspec.json.encode(summary)) + b"\n")
            demo.console.print(summary.table(language))
            for shortcoming in summary.shortcomings():
                demo.console.print(f"[red]✗[/] {shortcoming.to(language)}")
            return 1 if summary.shortcomings() else 0
    except SunmaoError as error:
        sys.stderr.write(error.explain(language) + "\n")
        return error.exit_code
    except KeyboardInterrupt:
        return 0


def _seconds() -> float | None:
    text = os.environ.get("DEMO_SECONDS", "")
    try:
        seconds = float(text) if text else None
    except ValueError:
        seconds = 0
    if seconds is not None and not 5 <= seconds <= 86_400:
        raise ConfigError(
            Text(f"'{text}' is not a number of seconds from 5 to 86400", f"“{text}”不是 5 到 86400 之间的秒数"),
            Text("e.g. DEMO_SECONDS=60 make demo", "例如 DEMO_SECONDS=60 make demo"),
            key="DEMO_SECONDS",
        )
    return seconds


@contextmanager
def _fresh(folder: Path) -> Iterator[Path]:
    """Empty `folder` and keep it for this run alone."""
    folder.mkdir(exist_ok=True)
    with (folder / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise ConfigError(
                Text("another demo is running in this folder", "本目录中已有演示在运行"),
                Text("end it first", "请先结束它"),
                key=str(folder),
            ) from error
        for entry in folder.iterdir():
            if entry.is_dir():
                shutil.rmtree(entry)
            elif entry.name != "lock":
                entry.unlink()
        yield folder


def _take_images(demo: Demo) -> int:
    wait_until(
        lambda: demo.platform.get("/inspections", verdict="reject")["items"],
        90,
        Text("a rejected part", "不合格件"),
        demo.plant.check,
    )
    demo.say("taking the pictures", "正在截图")
    login = ("--url", demo.platform.url, "--email", EMAIL, "--password", PASSWORD)
    return subprocess.run([sys.executable, "-P", "-m", "deploy.demo.screenshots", *login], check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
