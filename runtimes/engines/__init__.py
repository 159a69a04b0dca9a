"""One file per engine.

cpu              The leg `cpu`: ONNX Runtime's CPU provider
cuda             The leg `cuda`: ONNX Runtime's CUDA provider, with no node left to the CPU
eager            The leg `torch`: PyTorch eager in FP32, as the codec was trained
openvino_native  The leg `openvino`: OpenVINO's own API on the CPU device, reading the ONNX files directly
ort_options      ONNX Runtime's session options as options of a leg, and whether it has a provider
ort_provider     Any execution provider of ONNX Runtime by its full name (CoreMLExecutionProvider)
ort_session      ONNX Runtime sessions that tell which nodes ran where, and refuse what ran elsewhere than asked for
reference        The leg `reference`: the ONNX project's own reference evaluator, in numpy
wasm             The leg `wasm`: onnxruntime-web, ONNX Runtime's CPU kernels in WebAssembly with 128-bit SIMD, run by
                 node
webgpu           The leg `webgpu`: ONNX Runtime's WebGPU provider, on a GPU or Chromium's SwiftShader
"""
