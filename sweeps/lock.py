"""One writer at a time: a lock file that outlives no process, and SIGTERM that unwinds."""

import json
import os
import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from ..core.errors import StoreError


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold ``<path>.lock`` as the only writer; a lock whose process is gone on this host is taken over."""
    lock = path.with_name(path.name + ".lock")
    lock.parent.mkdir(parents=True, exist_ok=True)
    while not _acquire(lock):
        _take_over(lock)
    try:
        with _terminable():
            yield
    finally:
        lock.unlink(missing_ok=True)


def _acquire(lock: Path) -> bool:
    try:
        handle = os.open(lock, os.O_CREAT | os.O_EXCL | os.O_WRONLY)
    except FileExistsError:
        return False
    me = {"pid": os.getpid(), "host": socket.gethostname(), "born": _born(os.getpid())}
    try:
        os.write(handle, json.dumps(me).encode())
    except OSError:
        lock.unlink()
        raise
    finally:
        os.close(handle)
    return True


def _take_over(lock: Path) -> None:
    """Remove the lock of a process that is gone; raise StoreError where it may live."""
    try:
        text = lock.read_text()
    except FileNotFoundError:
        return
    if _in_use(text):
        raise StoreError(f"{lock} is held by {_holder(text)}: wait for that run, or delete the lock if it is gone")
    mine = lock.with_name(f"{lock.name}.{os.getpid()}")
    try:
        lock.rename(mine)
    except FileNotFoundError:
        return
    if mine.read_text() != text:  # another process took it over in between: give it back
        mine.rename(lock)
        return
    mine.unlink()


def _in_use(text: str) -> bool:
    try:
        holder = json.loads(text)
        pid, host, born = int(holder["pid"]), holder["host"], holder["born"]
    except (ValueError, KeyError, TypeError):
        return True
    if host != socket.gethostname():
        return True
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return bool(_born(pid) == born)


def _holder(text: str) -> str:
    try:
        holder = json.loads(text)
        return f"process {holder['pid']} on host {holder['host']}"
    except (ValueError, KeyError, TypeError):
        return "a process that left no name"


def _born(pid: int) -> str:
    """When a process began, in ticks since boot, where /proc tells: a pid used again is another process."""
    try:
        state, *rest = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return ""
    return "gone" if state in "ZX" else rest[18]


@contextmanager
def _terminable() -> Iterator[None]:
    """Let SIGTERM unwind like an exception, so that the lock is released."""

    def leave(number: int, frame: FrameType | None) -> None:
        raise SystemExit(128 + number)

    ours = threading.current_thread() is threading.main_thread() and signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
    if ours:
        signal.signal(signal.SIGTERM, leave)
    try:
        yield
    finally:
        if ours:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
