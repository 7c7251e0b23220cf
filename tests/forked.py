"""The `emocap` command in a real process that imports nothing: it is forked from one that has emocap loaded."""

import multiprocessing
import os
import runpy
import sys
import tempfile
from pathlib import Path
from unittest import mock

LOADED = ["emocap.cli.main", "emocap.app.server", "emocap.study.run", "emocap.report.page", "transformers.trainer"]


class ForkedProcess:
    """`emocap` with these arguments, with the methods of `subprocess.Popen` that tests use.

    The process that forks it is started once for each process of pytest. It has not loaded Gradio, which reads the
    environment on import.
    """

    def __init__(self, *arguments: str, log: Path = Path(os.devnull), **environment: str) -> None:
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(LOADED)
        names = {"LOG": str(log), "ENVIRONMENT": environment}
        self._process = context.Process(target=runpy.run_path, args=(__file__, names, "__main__"))
        with mock.patch.object(sys, "argv", ["emocap", *arguments]):
            self._process.start()

    def poll(self) -> int | None:
        return self._process.exitcode

    def send_signal(self, number: int) -> None:
        os.kill(self._process.pid, number)

    def kill(self) -> None:
        self._process.kill()

    def wait(self, timeout: float | None = None) -> int | None:
        self._process.join(timeout)
        return self._process.exitcode


def run_emocap() -> None:
    """In the new process: the command, with its output in `LOG`; multiprocessing has set `sys.argv`."""
    os.environ.update(globals()["ENVIRONMENT"])
    tempfile.tempdir = None  # a library that was loaded before may have asked for it
    output = os.open(globals()["LOG"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    for stream in (1, 2):
        os.dup2(output, stream)

    from emocap.cli.main import main

    main()


if __name__ == "__main__":
    run_emocap()
