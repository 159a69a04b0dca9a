"""What must be so of a whole ONNX file before its nodes mean anything: one standard, one meaning for each name."""

from __future__ import annotations

from collections import Counter
from typing import Final

import onnx

from nvc_check.exporter.certificate.fitting_sizes import unfit

OPSETS: Final = range(11, 24)
STANDARD: Final = ("", "ai.onnx")


def flaw(model: onnx.ModelProto) -> tuple[str, str] | None:
    """(why the file has no exact meaning, cure), or None.

    The same name defined twice, operators of two opsets, functions of its own, what onnx.checker refuses, and
    sizes that do not fit each other: runtimes read these differently, or not at all.
    """
    domains = Counter("" if item.domain in STANDARD else item.domain for item in model.opset_import)
    twice = sorted(domain for domain, count in domains.items() if count > 1)
    if twice:
        return f"opset of domain {twice[0] or 'ai.onnx'!r} stated more than once", "one opset_import for each domain"
    opset = next((item.version for item in model.opset_import if item.domain in STANDARD), 0)
    if opset not in OPSETS:
        return f"opset {opset} is outside {OPSETS[0]} to {OPSETS[-1]}", "convert it to opset 18"
    if model.functions:
        return "the model has local functions", "inline them: onnx.inliner.inline_local_functions"
    if not model.graph.node:
        return "the graph has no nodes", "a graph that computes something"
    return _doubled(model.graph) or _refused(model) or unfit(model)


def _doubled(graph: onnx.GraphProto) -> tuple[str, str] | None:
    stored = [item.name for item in graph.initializer] + [item.values.name for item in graph.sparse_initializer]
    inputs = [item.name for item in graph.input]
    names = Counter(name for node in graph.node for name in node.output if name)
    names.update(stored)
    names.update(name for name in inputs if name not in stored or inputs.count(name) > 1)  # an input with a default
    doubled = sorted(name for name, count in names.items() if count > 1)
    if doubled:
        return f"tensor {doubled[0]} is defined more than once", "one name for each tensor"
    return None


def _refused(model: onnx.ModelProto) -> tuple[str, str] | None:
    try:
        onnx.checker.check_model(model, full_check=True)
    except Exception as error:  # the checker and shape inference raise classes of their own
        text = " ".join(str(error).split())
        return f"onnx.checker refuses it: {text[:200]}", "repair the file"
    return None
