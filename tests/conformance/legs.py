"""Which legs there are to test here, and a leg's process that runs one model after the other."""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
import threading
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from typing import Any, Final

import onnx
from conformance.case import Array, Case

from nvc_check.checker.providers import names, tried
from nvc_check.runtimes.leg import LegSpec
from nvc_check.runtimes.process.launch import WORKER, command_of
from nvc_check.runtimes.process.wire import receive, send

# of the main environment; a test fails where one does not run
MAIN: Final = ("exact", "cpu", "cpu:opt=off", "openvino", "reference")
# what the others are tested as; an engine of `nvc-check providers` that is not named is tested as it is
SPELLED: Final = {"OpenVINOExecutionProvider": ("OpenVINOExecutionProvider:device_type=CPU",)}
NOT_FOR_GRAPHS: Final = ("torch", "torch:device=cuda")  # runs the codec's modules, no ONNX graph
SECONDS, EMULATED_SECONDS = 60.0, 600.0  # for one answer
CHOICE = "CONFORMANCE_LEGS"


@cache
def chosen() -> tuple[tuple[str, ...], tuple[str, ...]]:
    """(legs to test, lines that say which legs those are and why others are not).

    CONFORMANCE_LEGS: legs apart by spaces; else MAIN and all that `nvc-check providers` finds ready.
    """
    asked = os.environ.get(CHOICE, "").split()
    if asked:
        return tuple(asked), (f"conformance: legs {', '.join(asked)} ({CHOICE})",)
    others = [name for name in names() if name not in (*MAIN, *NOT_FOR_GRAPHS)]
    with ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
        found = list(pool.map(tried, others))
    ready = [leg for row in found if row.state == "ready" for leg in SPELLED.get(row.name, (row.name,))]
    lines = [f"conformance: legs {', '.join((*MAIN, *ready))}"]
    lines += [f"conformance: {row.name} is {row.state}: {row.detail}" for row in found if row.state != "ready"]
    lines.append(f"conformance: {', '.join(NOT_FOR_GRAPHS)}: not for graphs: they run the codec's own modules")
    return (*MAIN, *ready), tuple(lines)


class LegUnderTest:
    """Runs cases in the leg's own environment and process; starts it anew after a crash."""

    def __init__(self, spelled: str, allow_fallback: bool = False) -> None:
        self._spec = LegSpec.parse(spelled)
        self._allowed = ["--allow-fallback"] if allow_fallback else []
        self._folder = tempfile.TemporaryDirectory(prefix="nvc-check-conformance-")
        self._process: subprocess.Popen[bytes] | None = None
        self._starts = 0

    def wrong(self, case: Case) -> str:
        """What is wrong with the leg's result: values, or that it gave none; "" where nothing is."""
        try:
            return case.wrong(self.outputs(case.model, case.inputs)["y"])
        except RefusedError as error:
            return f"{case.name}: {error}"

    def close(self) -> None:
        if self._process is not None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            for pipe in (self._process.stdin, self._process.stdout):
                if pipe:
                    pipe.close()
            self._process = None
        self._folder.cleanup()

    def outputs(self, model: onnx.ModelProto, inputs: dict[str, Array]) -> dict[str, Array]:
        """By name; raises RefusedError where the leg does not load or run the model."""
        if self._process is None:
            self._start()
        file = Path(self._folder.name) / "case.onnx"
        onnx.save(model, file)
        return self._ask({"model": str(file)}, inputs)

    def _start(self) -> None:
        self._starts += 1
        scratch = Path(self._folder.name) / str(self._starts)
        scratch.mkdir()
        command, variables = command_of(self._spec, scratch)
        assert command[-len(WORKER) :] == WORKER
        program = [str(Path(__file__).with_name("one_leg.py")), self._spec.name, *self._allowed]
        self._process = subprocess.Popen(
            [*command[: -len(WORKER)], *program],
            env={**variables, "TMPDIR": str(scratch)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,  # so that programs which the leg starts end with it
        )
        self._ask(None, {})

    def _ask(self, request: dict[str, Any] | None, arrays: dict[str, Array]) -> dict[str, Array]:
        process = self._process
        assert process is not None and process.stdin is not None and process.stdout is not None
        watchdog = threading.Timer(EMULATED_SECONDS if self._spec.machine else SECONDS, process.kill)
        watchdog.start()
        try:
            if request is not None:
                send(process.stdin, request, arrays)
            message, outputs = receive(process.stdout)
        except (EOFError, BrokenPipeError) as error:
            self._process = None
            raise RefusedError(f"{self._spec.name}: its process ended with {process.wait()}") from error
        finally:
            watchdog.cancel()
        if "error" in message:
            raise RefusedError(message["error"])
        return outputs


class RefusedError(Exception):
    """The leg did not load or run a graph."""
