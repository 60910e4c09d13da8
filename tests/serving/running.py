"""`avnas serve` in a subprocess."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import httpx


class Running:
    """The service, started on a free port of 127.0.0.1 and stopped at the end of the block.

    Args:
        arguments: Arguments of `avnas serve`.
        folder: Folder of its log, created if missing.

    Attributes:
        address: URL of the service.
        temporary: Folder of its temporary files.
    """

    def __init__(self, arguments: Sequence[str], folder: Path) -> None:
        self.temporary = Path(tempfile.mkdtemp(prefix="avnas-"))  # pytest's folder names are too long for sockets
        folder.mkdir(parents=True, exist_ok=True)
        self._log = (folder / "log").open("w+")
        self.process = subprocess.Popen(
            [sys.executable, "-m", "avhash_nas", "serve", "--port=0", *arguments],
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
            env=self._environment(),
        )
        assert self.process.stdout is not None
        late = threading.Timer(120, self.process.kill)
        late.start()
        self.greeting = self.process.stdout.readline()
        late.cancel()
        assert " at http://" in self.greeting, self.log()
        self.address = self.greeting.split()[-1]

    def _environment(self) -> dict[str, str]:
        return {**os.environ, "TMPDIR": str(self.temporary), "OMP_NUM_THREADS": "1"}

    def log(self) -> str:
        """Standard error so far."""
        self._log.seek(0)
        return self._log.read()

    def client(self) -> httpx.Client:
        """A client with a long timeout for loaded machines."""
        return httpx.Client(base_url=self.address, timeout=60, trust_env=False)

    def memory(self) -> int:
        """Resident memory in bytes, without child processes."""
        pages = Path(f"/proc/{self.process.pid}/statm").read_text().split()[1]
        return int(pages) * 4096

    def uploads(self) -> list[Path]:
        """Uploaded files that have not been removed."""
        return [path for path in self.temporary.glob("avnas-serve-*/*") if path.is_file()]

    def stop(self, signum: int = signal.SIGTERM) -> int:
        """Sends a signal and returns the exit code."""
        self.process.send_signal(signum)
        return self.process.wait(timeout=60)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(timeout=30)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        assert self.process.stdout is not None
        self.process.stdout.close()
        self._log.close()
        shutil.rmtree(self.temporary, ignore_errors=True)


def until(true: Callable[[], object], seconds: float = 30) -> None:
    """Waits until a condition is true."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "timeout"
        time.sleep(0.05)
