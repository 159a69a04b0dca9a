"""Runtimes: which forms were measured right on a target, and which are known to go wrong.

forms     The form of a node and of each of its edges: what an optimizer can see of them, and nothing that it cannot
kernels   How ONNX Runtime's CPU provider will run a node, and which nodes WebGPU leaves to the CPU
known     The closed list of forms that were measured right, per target, and the versions on which they were
openvino  Rewrites of OpenVINO 2026.4 that change what neighbouring nodes compute, against A5
rewrites  Known rewrites of neighbouring nodes that change what they compute, against A5
"""
