"""Good and bad work for a sandbox. Imported by its processes, so without heavy imports."""

import os
import signal
import time
from pathlib import Path

from avhash_nas.errors import AvnasError


def double(numbers):
    return {"sum": sum(numbers)}, [bytes(numbers), b"", bytes(numbers) * 2]


def large(size):
    return {}, [b"\x07" * size]


def complain(text):
    raise AvnasError(text)


def fail():
    raise RuntimeError("a mistake in the program")


def crash():
    os.kill(os.getpid(), signal.SIGSEGV)


def leave():
    os._exit(0)


def spin():
    while True:
        pass


def sleep():
    time.sleep(3600)


def swallow(size):
    return {"size": len(bytearray(size))}, []


def write(path):
    Path(path).write_bytes(b"something")
    return {}, []


def interrupt():
    os.kill(os.getpid(), signal.SIGINT)
    return {}, []
