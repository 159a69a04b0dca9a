"""A leg in a process of its own: a crash, a hang or a kill of one leaves the others standing."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any

from nvc_check.models import errors
from nvc_check.runtimes.leg import EngineInfo, LegSpec, Tensors
from nvc_check.runtimes.process.launch import command_of
from nvc_check.runtimes.process.orphan import PARENT, SCRATCH
from nvc_check.runtimes.process.wire import receive, send

TIME_LIMIT_SECONDS = 600.0  # for one answer: a 1080p frame of the largest codec takes seconds
PROBE_SECONDS = 120.0
EMULATED = 10  # times as long, or more: qemu-user translates every instruction


class LegProcess:
    """Starts on `open`, answers `decode`, ends on `close`; every failure is an NvcCheckError.

    Attributes:
        knobs: after `open`: what the engine declares as its options, as Knobs in leg.py.
        time_limit: seconds for one answer; NVC_CHECK_TIME_LIMIT sets it, emulated processors get EMULATED times that.
    """

    def __init__(self, spec: LegSpec, package: Path, time_limit: float | None = None) -> None:
        self.spec = spec
        self._package = package
        self.time_limit = time_limit or _time_limit() * (EMULATED if spec.machine else 1)
        self._log = tempfile.TemporaryFile()  # noqa: SIM115  closed with the leg
        self._scratch = tempfile.TemporaryDirectory(prefix="nvc-check-leg-", dir=os.environ.get(SCRATCH))
        self._process: subprocess.Popen[bytes] | None = None
        self.knobs: dict[str, tuple[str, ...] | None] = {}

    def open(self) -> tuple[EngineInfo, tuple[str, ...]]:
        """What runs, and which paths it can take.

        Raises:
            ProviderUnavailableError: not installed, no device, or nodes would fall back.
            UsageError: unknown engine or option.
            RunFailedError: the process did not start or died.
        """
        self._start()
        request = {
            "op": "open",
            "package": str(self._package.resolve()),
            "provider": self.spec.name,
            "allow_fallback": self.spec.allow_fallback,
        }
        message, _ = self._ask(request, {})
        self.knobs = {name: None if values is None else tuple(values) for name, values in message["knobs"].items()}
        return EngineInfo(**message["info"]), tuple(message["paths"])

    def probe(self) -> EngineInfo:
        """What runs, after it ran a small graph with a known answer; no package is needed. Raises as `open` does."""
        self._start()
        message, _ = self._ask({"op": "probe", "provider": self.spec.name}, {})
        return EngineInfo(**message["info"])

    def run_graph(self, model: Path, inputs: Tensors) -> tuple[EngineInfo, Tensors]:
        """What ran, and the outputs of a graph in no package.

        Raises:
            ProviderUnavailableError: not installed, no device, or nodes would fall back.
            RunFailedError: it cannot load or run the graph, or its process died.
        """
        if self._process is None:
            self._start()
        request = {"op": "graph", "provider": self.spec.name, "model": str(model.resolve())}
        message, tensors = self._ask(request, inputs)
        return EngineInfo(**message["info"]), tensors

    def _start(self) -> None:
        command, variables = command_of(self.spec, Path(self._scratch.name))
        self._process = subprocess.Popen(
            command,
            env={**variables, PARENT: str(os.getpid()), "TMPDIR": self._scratch.name},  # what it leaves goes with it
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            start_new_session=True,  # so that programs which the leg starts end with it
        )

    def decode(self, path: str, symbols: Tensors) -> tuple[float, Tensors]:
        """(seconds inside the engine, tensors) of one picture or frame.

        Raises:
            RunFailedError: the engine failed, gave NaN, died or took too long.
        """
        message, tensors = self._ask({"op": "decode", "path": path}, symbols)
        return float(message["seconds"]), tensors

    def digest(self, path: str, symbols: Tensors, tensors: bool) -> tuple[dict[str, dict[str, Any]], Tensors]:
        """Decodes as `decode`: (tensor -> sha256, values, shape; the tensors if they are asked for, else none)."""
        message, decoded = self._ask({"op": "digest", "path": path, "tensors": tensors}, symbols)
        return message["digests"], decoded

    def placement(self, path: str) -> dict[str, Any]:
        """The fields of a Placement: what ran so far on `path`."""
        message, _ = self._ask({"op": "placement", "path": path}, {})
        return dict(message["placement"])

    def close(self) -> None:
        if self._process is not None:
            _kill(self._process)
            self._process.wait()
            for pipe in (self._process.stdin, self._process.stdout):
                if pipe:
                    with suppress(BrokenPipeError):  # what the buffer still held for a process that died first
                        pipe.close()
            self._process = None
        self._log.close()
        self._scratch.cleanup()

    def _ask(self, request: dict[str, Any], arrays: Tensors) -> tuple[dict[str, Any], Tensors]:
        process = self._process
        assert process is not None and process.stdin is not None and process.stdout is not None
        expired = threading.Event()

        def expire() -> None:
            expired.set()
            _kill(process)

        watchdog = threading.Timer(self.time_limit, expire)
        watchdog.daemon = True  # Ctrl-C within start() leaves it running, and Python would wait for it at the end
        try:
            watchdog.start()
            send(process.stdin, request, arrays)
            message, tensors = receive(process.stdout)
        except (EOFError, OSError) as error:
            process.wait()
            reason = f"no answer within {self.time_limit:g} s" if expired.is_set() else self._last_words(process)
            raise errors.RunFailedError(f"{self.spec.name}: {reason}") from error
        finally:
            watchdog.cancel()
        if "error" in message:
            kind: type[errors.NvcCheckError] = getattr(errors, message["error"]["kind"], errors.RunFailedError)
            text = message["error"]["text"]
            raise kind(text if self.spec.name in text else f"{self.spec.name}: {text}")
        return message, tensors

    def _last_words(self, process: subprocess.Popen[bytes]) -> str:
        self._log.seek(0)
        lines = [line for line in self._log.read().decode(errors="replace").splitlines() if line.strip()]
        code = process.returncode
        how = f"was killed by signal {-code}" if code < 0 else f"ended with exit code {code}"
        return f"its process {how}" + (f" ({lines[-1].strip()})" if lines else "")


def _kill(process: subprocess.Popen[bytes]) -> None:
    """The leg's process and all that it started."""
    if sys.platform == "win32":
        process.kill()
        return
    with suppress(ProcessLookupError):  # all of them are gone
        os.killpg(process.pid, signal.SIGKILL)


def _time_limit() -> float:
    """Raises UsageError where NVC_CHECK_TIME_LIMIT is not a number of seconds."""
    spelled = os.environ.get("NVC_CHECK_TIME_LIMIT", str(TIME_LIMIT_SECONDS))
    try:
        seconds = float(spelled)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < threading.TIMEOUT_MAX:
        raise errors.UsageError(f"NVC_CHECK_TIME_LIMIT={spelled}: expected a number of seconds above 0")
    return seconds
