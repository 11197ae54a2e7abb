"""Archives of programs for tests: honest ones, and some that would rather be elsewhere."""

from __future__ import annotations

from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from models.archive import pack_archive

HONEST = '''
import hashlib
import time
from part import of

def main(job):
    """Sum up the inputs, a step at a time; each is kept."""
    count, kept = job.parameters["count"], job.state / "step"
    first = int(kept.read_text()) if kept.exists() else 0
    print(f"from step {first}", flush=True)
    text = b"".join(path.read_bytes() for path in sorted(job.inputs.iterdir()))
    for step in range(first, count):
        with (job.outputs / "sums.txt").open("a") as file:
            file.write(of(text, step) + "\\n")
        kept.write_text(str(step + 1))
        job.progress(step + 1, count)
        job.checkpoint()
        time.sleep(job.parameters.get("pause_s", 0))
    return {"steps": count, "mean": __import__("numpy").arange(count).mean().item()}
'''
PART = """
import hashlib

def of(text, step):
    return hashlib.sha256(text + str(step).encode()).hexdigest()
"""
HOSTILE = """
import os
import pathlib
import signal
import socket
import time

def read(job):
    return pathlib.Path(job.parameters["secret"]).read_text()

def connect(job):
    socket.create_connection(("127.0.0.1", job.parameters["port"]))

def fork(job):
    while True:
        if not os.fork():
            time.sleep(600)

def fill(job):
    with (job.outputs / "full").open("wb") as file:
        while True:
            file.write(bytes(1 << 20))

def swap(job):
    (job.outputs / "passwd").symlink_to("/etc/passwd")

def kill(job):
    for process in range(1, job.parameters["pid"] + 1):
        if process != os.getpid():
            os.kill(process, signal.SIGKILL)

def sleep(job):
    time.sleep(600)

def eat(job):
    parts = []
    for _ in range(6):
        if not os.fork():
            parts = bytearray(os.urandom(1)) * (60 << 20)
            time.sleep(600)
    time.sleep(600)

def spin(job):
    while True:
        pass

def leave(job):
    os._exit(0)

def lie(job):
    os.write(3, b"nonsense")
    for number in range(3, 30):
        try:
            os.write(number, b'{"result": "mine"\\n')
        except OSError:
            pass
    time.sleep(600)
"""


def program(folder: Path, key: Ed25519PrivateKey) -> bytes:
    """Return an archive signed by `key` with the modules entry, honest, and hostile."""
    folder.mkdir()
    for name, text in (("entry.py", HONEST), ("part.py", PART), ("hostile.py", HOSTILE)):
        (folder / name).write_text(text)
    return pack_archive(folder, key)
