"""ONNX Runtime sessions that tell which nodes ran where, and refuse what ran elsewhere than asked for.

The first run is profiled: the profile has every node that ran, its provider and its data types. ONNX Runtime's own
record of assignments (session.record_ep_graph_assignment_info) lists the nodes inside a compiled subgraph, but not the
nodes that a provider claims after a change of layout (WebGPU, 1.27). session.disable_cpu_ep_fallback refuses earlier,
without names; so both are used.
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

import onnxruntime

from nvc_check.models.errors import ProviderUnavailableError, RunFailedError
from nvc_check.runtimes.leg import LegSpec, RanNode, Runnable, Tensors
from nvc_check.runtimes.placement import precision_of

CPU = "CPUExecutionProvider"
STRICT = "session.disable_cpu_ep_fallback"
SPELLED = {"float": "float32", "double": "float64", "float16": "float16", "bfloat16": "bfloat16"}
NAMED_AT_MOST = 5  # nodes in an error's line

onnxruntime.set_default_logger_severity(3)  # it warns of each entry that is set anew


def session(model: Path, options: Any, providers: list[Any]) -> Runnable:
    """A session as a function of named tensors; RunFailedError where the graph does not load."""
    return AuditedSession(model, options, providers, CPU)


def exclusive_session(spec: LegSpec, model: Path, options: Any, provider: str, settings: dict[str, Any]) -> Runnable:
    """A session that runs on `provider` alone, unless the leg allows its nodes to fall back.

    Raises:
        ProviderUnavailableError: it cannot start; when first run: nodes ran elsewhere.
    """
    if provider == CPU:
        return session(model, options, [CPU])
    options.add_session_config_entry(STRICT, "1")
    try:
        return AuditedSession(model, options, [(provider, settings)], provider, spec)
    except RunFailedError as error:
        refused = str(error)
    options.add_session_config_entry(STRICT, "0")
    try:
        relaxed = AuditedSession(model, options, [(provider, settings)], provider, spec, refused)
    except RunFailedError as error:
        raise ProviderUnavailableError(f"{spec.name}: {error}") from error
    if provider not in relaxed.providers:
        raise ProviderUnavailableError(f"{spec.name}: {provider} did not start ({refused})")
    return relaxed


def named(nodes: list[RanNode]) -> str:
    """The first few, for an error's line."""
    few = ", ".join(f"{node.name} ({node.op_type})" for node in nodes[:NAMED_AT_MOST])
    return few + (f" and {len(nodes) - NAMED_AT_MOST} more" if len(nodes) > NAMED_AT_MOST else "")


class AuditedSession:
    """A Runnable with `ran()`.

    Args:
        wanted: the provider that the nodes are to run on.
        spec: the leg that asks for it; None where there is no other provider.
        refused: what ONNX Runtime said when it was told not to fall back, or "".
    """

    def __init__(
        self, model: Path, options: Any, providers: list[Any], wanted: str, spec: LegSpec | None = None,
        refused: str = "",
    ) -> None:  # fmt: skip
        self._wanted, self._spec, self._refused = wanted, spec, refused
        self._ran: tuple[RanNode, ...] | None = None
        # a folder each: the profiles of sessions that start in the same second have the same name
        self._folder = tempfile.TemporaryDirectory(prefix="nvc-check-profile-")
        options.enable_profiling = True
        options.profile_file_prefix = str(Path(self._folder.name) / "profile")
        options.add_session_config_entry("session.record_ep_graph_assignment_info", "1")
        try:
            # enable_fallback: Python's wrapper would try again with the CPU alone
            self._session = onnxruntime.InferenceSession(str(model), options, providers=providers, enable_fallback=0)
        except Exception as error:  # ONNX Runtime raises a class of its own per status code
            reason = str(error).splitlines()[0]
            raise RunFailedError(f"{model.name}: ONNX Runtime cannot load it ({reason})") from error
        self.providers = list(self._session.get_providers())
        self._inputs = {item.name for item in self._session.get_inputs()}
        self._outputs = [item.name for item in self._session.get_outputs()]

    def __call__(self, inputs: Tensors) -> Tensors:
        """Raises ProviderUnavailableError where nodes ran elsewhere and the leg does not allow it."""
        results: Any = self._session.run(self._outputs, {n: v for n, v in inputs.items() if n in self._inputs})
        if self._ran is None:
            self._ran = self._audit()
        return dict(zip(self._outputs, results, strict=True))

    def ran(self) -> tuple[RanNode, ...]:
        """The nodes of the first run; none before it."""
        return self._ran or ()

    def _audit(self) -> tuple[RanNode, ...]:
        file = Path(self._session.end_profiling())
        try:
            events = json.loads(file.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise RunFailedError(f"{file}: ONNX Runtime's profile is not whole ({error}); is the disk full?") from error
        self._folder.cleanup()
        nodes = [n for event in events if event.get("cat") == "Node" for n in self._nodes(event)]
        if not nodes:
            raise RunFailedError("ONNX Runtime's profile names no node that ran; cannot tell what ran where")
        elsewhere = [node for node in nodes if node.fell_back]
        if self._spec is not None and not self._spec.allow_fallback and (elsewhere or self._refused):
            raise ProviderUnavailableError(
                f"{self._spec.name}: {len(elsewhere)} of {len(nodes)} nodes fell back from {self._wanted}:"
                f" {named(elsewhere) or self._refused}; say --allow-fallback to run it all the same"
            )
        return tuple(nodes)

    def _nodes(self, event: dict[str, Any]) -> list[RanNode]:
        """The node of a profile's event, or the nodes of the subgraph that a provider compiled into one."""
        name, detail = str(event["name"]), event["args"]
        if not name.endswith("_kernel_time"):
            return []
        op_type, provider = str(detail["op_name"]), str(detail["provider"])
        fell_back = provider != self._wanted
        inner = self._compiled(op_type, provider)
        if inner:
            return [RanNode(node.name, node.op_type, provider, "compiled", fell_back) for node in inner]
        types = [SPELLED.get(key, "") for item in detail.get("output_type_shape", []) for key in item]
        types += [SPELLED.get(key, "") for item in detail.get("input_type_shape", [])[:1] for key in item]
        return [RanNode(name.removesuffix("_kernel_time"), op_type, provider, precision_of(op_type, types), fell_back)]

    def _compiled(self, op_type: str, provider: str) -> list[Any]:
        if provider == CPU or not hasattr(self._session, "get_provider_graph_assignment_info"):
            return []
        # a compiled subgraph is called <provider's own prefix>_<number>: no operator of ONNX is
        number = op_type.rpartition("_")[2]
        parts = [p for p in self._session.get_provider_graph_assignment_info() if p.ep_name == provider]
        if not number.isdecimal() or any(node.op_type == op_type for part in parts for node in part.get_nodes()):
            return []
        position = min(max(int(number) - 1, 0), len(parts) - 1)
        return list(parts[position].get_nodes()) if parts else []
