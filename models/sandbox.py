"""Walls around foreign code on Linux: namespaces of its own, of which it sees only what it is given, and limits.

`wall_off` is called once, in a process that has just been started for that; what it returns to is inside, as the first process of
its own: no other process, no network unless it is allowed, no file but its own, the interpreter's and the system libraries' (read
only), no capability, and no way to a user namespace in which it would have any. As root the code becomes a user that nobody else
is; otherwise it stays who it was, in a user namespace. What cannot be had raises OSError: nothing is run with fewer walls.

See namespaces(7), pivot_root(2), mount_setattr(2), user_namespaces(7). ctypes, since the standard library has none of these calls.
"""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import sys
from contextlib import suppress
from pathlib import Path

import msgspec

_NEWNS, _NEWUTS, _NEWIPC, _NEWUSER, _NEWPID, _NEWNET = 0x20000, 0x4000000, 0x8000000, 0x10000000, 0x20000000, 0x40000000
_NOSUID, _NODEV, _NOEXEC, _BIND, _REC, _PRIVATE = 2, 4, 8, 4096, 16384, 1 << 18
_RDONLY, _REMOUNT, _DETACH = 1, 32, 2
_RECURSIVE, _ATTR_RDONLY, _ATTR_NOSUID, _ATTR_NODEV = 0x8000, 1, 2, 4
_PDEATHSIG, _NO_NEW_PRIVS, _CAPABILITY_V3 = 1, 38, 0x20080522
_MOUNT_SETATTR = 442
_EVERYBODY, _BY_SIGNAL = 0xFFFFFFFF, 128
_FIRST_USER = 0x70000000
"""As root: the user a run becomes is this one and its process id more, which is nobody's and no other run's."""
_SYSTEM = ("/usr", "/lib", "/lib64", "/bin", "/etc/ld.so.cache", "/etc/alternatives", "/etc/localtime")
_FOR_NETWORK = ("/etc/resolv.conf", "/etc/hosts", "/etc/nsswitch.conf", "/etc/ssl")
_DEVICES = ("/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom")
OWN = ("outputs", "state", "scratch")
"""Folders it may write to, in memory and together of limited size."""
JOB = "/job"
_TEMPORARY, _LOCKS = "/tmp", "/dev/shm"  # noqa: S108 - inside both are a folder of the job's own


class Room(msgspec.Struct, frozen=True):
    """What is inside.

    Attributes:
        folder: an empty folder of this run's, which the walls are built in.
        given: folders and files that are seen read-only, by where they are seen.
        disk: bytes of all of OWN together. processes: with their threads. open_files: of each.
        network: whether it stays in the network of whoever started it.
    """

    folder: str
    given: dict[str, str]
    disk: int = 256 << 20
    processes: int = 64
    open_files: int = 256
    network: bool = False


class _Attributes(ctypes.Structure):
    _fields_ = [(name, ctypes.c_uint64) for name in ("set", "clear", "propagation", "userns")]


class _Kernel:
    """The calls that Python has no name for; each raises OSError."""

    def __init__(self) -> None:
        self._c = ctypes.CDLL(None, use_errno=True)

    def unshare(self, flags: int) -> None:
        self._done(self._c.unshare(flags), "unshare")

    def mount(self, source: str, target: str, kind: str, flags: int, options: str = "") -> None:
        given = source.encode(), target.encode(), kind.encode(), ctypes.c_ulong(flags), options.encode()
        self._done(self._c.mount(*given), f"mount {target}")

    def read_only(self, target: str) -> None:
        how = _Attributes(_ATTR_RDONLY | _ATTR_NOSUID | _ATTR_NODEV, 0, 0, 0)
        path = target.encode()
        found = self._c.syscall(_MOUNT_SETATTR, -100, path, _RECURSIVE, ctypes.byref(how), ctypes.sizeof(how))
        self._done(found, f"mount_setattr {target}")

    def pivot_root(self) -> None:
        """Make the current folder the root, and let go of the one before; see pivot_root(2) for both at one place."""
        number = 155 if os.uname().machine == "x86_64" else 41
        self._done(self._c.syscall(number, b".", b"."), "pivot_root")
        self._done(self._c.umount2(b".", _DETACH), "umount2")
        os.chdir("/")

    def prctl(self, option: int, value: int) -> None:
        self._done(self._c.prctl(option, ctypes.c_ulong(value), 0, 0, 0), "prctl")

    def drop_capabilities(self) -> None:
        header, none = (ctypes.c_uint32 * 2)(_CAPABILITY_V3, 0), (ctypes.c_uint32 * 6)()
        self._done(self._c.capset(header, none), "capset")

    def _done(self, result: int, what: str) -> None:
        if result:
            number = ctypes.get_errno()
            raise OSError(number, f"{what}: {os.strerror(number)}")


def wall_off(room: Room) -> tuple[int, ...]:
    """Go inside; returns there, with a descriptor of each of OWN. The calling process ends when the one inside does, by its status.

    The one inside dies with the calling one, and with it all that it has started. Only one thread may run. Raises OSError.
    """
    kernel, user = _Kernel(), os.geteuid()
    flags = _NEWNS | _NEWUTS | _NEWIPC | _NEWPID | (0 if room.network else _NEWNET)
    if whole := user == 0 and _has_all_users():
        kernel.unshare(flags)
        user = _FIRST_USER + os.getpid()
    else:
        _enter_user_namespace(kernel, flags)
    kernel.prctl(_PDEATHSIG, signal.SIGKILL)
    if inside := os.fork():
        os.close(0)  # whoever listens is to hear of the end
        status = os.waitstatus_to_exitcode(os.waitpid(inside, 0)[1])
        os._exit(status if status >= 0 else _BY_SIGNAL - status)
    own = _furnish(kernel, room)
    if whole:
        os.setgroups([])
        os.setresgid(user, user, user)
        os.setresuid(user, user, user)
        with suppress(OSError):  # where nobody may have one, nobody gets one inside, either
            _enter_user_namespace(kernel, 0)
    with suppress(OSError):
        Path("/proc/sys/user/max_user_namespaces").write_text("0")
    kernel.drop_capabilities()
    kernel.prctl(_NO_NEW_PRIVS, 1)
    kernel.prctl(_PDEATHSIG, signal.SIGKILL)
    for limit, most in (
        (resource.RLIMIT_NPROC, room.processes),
        (resource.RLIMIT_NOFILE, room.open_files),
        (resource.RLIMIT_FSIZE, room.disk),
        (resource.RLIMIT_MEMLOCK, 0),
    ):
        resource.setrlimit(limit, (most, most))
    return own


def _has_all_users() -> bool:
    """Return whether this user namespace is the machine's own: one that was made has few users, and none to become."""
    return int(Path("/proc/self/uid_map").read_text().split()[2]) == _EVERYBODY


def _enter_user_namespace(kernel: _Kernel, flags: int) -> None:
    user, group = os.geteuid(), os.getegid()
    kernel.unshare(_NEWUSER | flags)
    Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/uid_map").write_text(f"{user} {user} 1")
    Path("/proc/self/gid_map").write_text(f"{group} {group} 1")


def _furnish(kernel: _Kernel, room: Room) -> tuple[int, ...]:
    """Build the root of the inside and enter it."""
    work, root = f"{room.folder}/work", f"{room.folder}/root"
    kernel.mount("none", "/", "", _REC | _PRIVATE)
    for path, size in ((work, room.disk), (root, 1 << 20)):
        os.mkdir(path)
        kernel.mount("tmpfs", path, "tmpfs", _NOSUID | _NODEV, f"size={size},nr_inodes=20000,mode=755")
    program = {str(path): str(path) for path in (sys.base_prefix, sys.prefix, Path(__file__).resolve().parent)}
    system = {path: path for path in (*_SYSTEM, *(_FOR_NETWORK if room.network else ())) if os.path.lexists(path)}
    given = {f"{JOB}/{name}": path for name, path in room.given.items()}
    for place, source in sorted((system | program | given).items()):
        if not os.path.lexists(root + place):
            _show(kernel, source, root + place)
    for device in _DEVICES:
        _show(kernel, device, root + device, writable=True)
    os.symlink(f"{JOB}/scratch", f"{root}{_LOCKS}")
    os.makedirs(f"{root}/proc")
    kernel.mount("proc", f"{root}/proc", "proc", _NOSUID | _NODEV | _NOEXEC)
    own = []
    for name in OWN:
        os.mkdir(f"{work}/{name}")
        os.chmod(f"{work}/{name}", 0o777)  # noqa: S103 - for whoever it will be; nobody else is inside
        own.append(os.open(f"{work}/{name}", os.O_RDONLY | os.O_DIRECTORY))
        _show(kernel, f"{work}/{name}", f"{root}{JOB}/{name}", writable=True)
    if not os.path.lexists(f"{root}{_TEMPORARY}"):
        os.symlink(f"{JOB}/scratch", f"{root}{_TEMPORARY}")
    os.chdir(root)
    kernel.pivot_root()
    kernel.mount("none", "/", "", _REMOUNT | _BIND | _RDONLY | _NOSUID | _NODEV)
    return tuple(own)


def _show(kernel: _Kernel, source: str, target: str, *, writable: bool = False) -> None:
    """Let a file or folder be seen inside; a link is seen as one."""
    os.makedirs(os.path.dirname(target), exist_ok=True)
    if os.path.islink(source) and not writable:
        os.symlink(os.readlink(source), target)
        return
    if os.path.isdir(source):
        os.mkdir(target)
    else:
        os.close(os.open(target, os.O_CREAT | os.O_WRONLY, 0o644))
    kernel.mount(source, target, "", _BIND | _REC)
    if not writable:
        kernel.read_only(target)
