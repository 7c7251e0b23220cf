"""The `emocap` command, in this process or in one of its own."""

import io
import os
import re
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from unittest import mock

from emocap.cli.main import main
from emocap.progress import logger


def emocap(*arguments: object, cwd: Path | None = None, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the command in this process, which saves seconds of imports; what it changes outside files is undone."""
    command = ["emocap", *map(str, arguments)]
    stdout, stderr = io.StringIO(), io.StringIO()
    folder, logging = Path.cwd(), (logger.handlers[:], logger.propagate, logger.level)
    status: object = 0
    try:
        os.chdir(cwd or folder)
        with mock.patch.object(sys, "argv", command), mock.patch.dict(os.environ, environment):
            with redirect_stdout(stdout), redirect_stderr(stderr):
                main()
    except SystemExit as stopped:
        status = stopped.code or 0
    finally:
        os.chdir(folder)
        logger.handlers[:], logger.propagate = logging[:2]
        logger.setLevel(logging[2])
    return subprocess.CompletedProcess(command, int(str(status)), stdout.getvalue(), stderr.getvalue())


def emocap_process(*arguments: object, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run the command in a process of its own."""
    command = [sys.executable, "-m", "emocap", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, cwd=cwd, timeout=120)


def plain(text: str) -> str:
    """The text without colours."""
    return re.sub(r"\x1b\[[0-9;]*m", "", text)
