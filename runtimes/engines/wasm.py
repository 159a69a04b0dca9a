"""The leg `wasm`: onnxruntime-web, ONNX Runtime's CPU kernels in WebAssembly with 128-bit SIMD, run by node."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

from nvc_check.models.artifacts.package import Package
from nvc_check.models.errors import ProviderUnavailableError, RunFailedError
from nvc_check.runtimes.leg import EngineInfo, Knobs, LegSpec, Runnable, Tensors, checked_options
from nvc_check.runtimes.process.wire import receive, send

KNOBS: Knobs = {"opt": ("off", "basic", "extended", "all"), "threads": None, "flavour": ("qdq", "carrier")}
LEVELS = {"off": "disabled", "basic": "basic", "extended": "extended", "all": "all"}
INSTALL = "nvc-check providers --install wasm"


def open_engine(spec: LegSpec, package: Package) -> WasmEngine:
    """Raises ProviderUnavailableError where node or onnxruntime-web is not installed."""
    options = checked_options(spec, KNOBS)
    node = shutil.which("node")
    if node is None:
        raise ProviderUnavailableError(f"{spec.name}: node is not installed; apt-get install nodejs npm; {INSTALL}")
    folder = Path(os.environ.get("NVC_CHECK_NODE_MODULES", "."))
    described = folder / "node_modules" / "onnxruntime-web" / "package.json"
    if not described.is_file():
        raise ProviderUnavailableError(f"{spec.name}: onnxruntime-web is not installed; {INSTALL}")
    version = str(json.loads(described.read_text(encoding="utf-8"))["version"])
    return WasmEngine(node, folder, version, options)


class WasmEngine:
    """One thread unless told otherwise, as where a page is not cross-origin isolated."""

    paths = ("fp32", "int")
    stated = "onnxruntime-web's CPU kernels in WebAssembly run every node: the session has no other provider"

    def __init__(self, node: str, folder: Path, version: str, options: dict[str, str]) -> None:
        self.flavour = options.get("flavour", "qdq")
        self._level = LEVELS[options.get("opt", "all")]
        threads = options.get("threads", "1")
        worker = Path(__file__).with_name("wasm_worker.mjs")
        self._process = subprocess.Popen(
            [node, str(worker), str(folder), threads], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        release = subprocess.run([node, "--version"], capture_output=True, text=True, check=True).stdout.strip()
        settings = {"node": release, "opt": options.get("opt", "all"), "threads": threads, "flavour": self.flavour}
        self.info = EngineInfo("onnxruntime-web", version, "wasm in node", settings)

    def load(self, model: Path, graph: str) -> Runnable:
        request = {"op": "load", "model": str(model), "opt": self._level}
        try:
            loaded, _ = self._ask(request, {})
        except RunFailedError as error:
            raise RunFailedError(f"{model.name}: onnxruntime-web cannot load it ({error})") from error

        def run(inputs: Tensors) -> Tensors:
            wanted = {name: inputs[name] for name in loaded["inputs"]}
            return self._ask({"op": "run", "graph": loaded["graph"]}, wanted)[1]

        return run

    def close(self) -> None:
        """Ends node; it also ends when the leg's process does."""
        self._process.kill()
        self._process.communicate()

    def _ask(self, request: dict[str, Any], arrays: Tensors) -> tuple[dict[str, Any], Tensors]:
        process = self._process
        assert process.stdin is not None and process.stdout is not None
        try:
            send(process.stdin, request, arrays)
            message, tensors = receive(process.stdout)
        except (EOFError, BrokenPipeError) as error:
            raise RunFailedError(f"node ended with exit code {process.wait()}") from error
        if "error" in message:
            raise RunFailedError(str(message["error"]).splitlines()[0])
        return message, tensors
