"""What ONNX Runtime makes of the user's file, as it is, on the calibration: all else is measured against it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from nvc_check.exporter.network.model import Source
from nvc_check.models.errors import ExportRefusedError

Float32 = NDArray[np.float32]


def other_size(examples: Mapping[str, Float32]) -> dict[str, Float32] | None:
    """The same inputs turned, rows to columns, or, where they are as high as wide, twice as high; None of vectors."""
    pictures = [array for array in examples.values() if array.ndim == 4]
    if len(pictures) < len(examples):
        return None
    if any(array.shape[2] != array.shape[3] for array in pictures):
        return {name: np.ascontiguousarray(array.swapaxes(2, 3)) for name, array in examples.items()}
    return {name: np.concatenate([array, array[:, :, ::-1]], axis=2) for name, array in examples.items()}


def on_onnxruntime(model: bytes, inputs: Mapping[str, NDArray[Any]]) -> list[NDArray[Any]]:
    """The outputs in their order, without optimization."""
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.log_severity_level = 3
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    return [np.asarray(found) for found in session.run(None, dict(inputs))]


def original_outputs(source: Source, examples: list[Mapping[str, Float32]]) -> Iterator[dict[str, Float32]]:
    """Per example, the outputs by name; of a fixed batch, those of its first element.

    Raises:
        ExportRefusedError: ONNX Runtime cannot run the model.
    """
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.log_severity_level = 3
    names = [output.name for output in source.original.graph.output]
    kinds = {value.name: value.type.tensor_type.elem_type for value in source.original.graph.input}
    try:
        session = ort.InferenceSession(source.original.SerializeToString(), options, providers=["CPUExecutionProvider"])
        for example in examples:
            given = {
                name: np.repeat(array, source.batch, axis=0).astype(onnx.helper.tensor_dtype_to_np_dtype(kinds[name]))
                for name, array in example.items()
            }
            found = session.run(names, given)
            yield {name: np.asarray(array)[:1].astype(np.float32) for name, array in zip(names, found, strict=True)}
    except Exception as error:  # ONNX Runtime raises classes of its own
        line = (str(error).splitlines() or [repr(error)])[0]
        raise ExportRefusedError(f"{source.name}: ONNX Runtime cannot run the model ({line})") from error
