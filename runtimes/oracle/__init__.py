"""Exact arithmetic: the leg with which all others are compared.

engine     The leg `exact`: evaluates an integer graph in float64, asserting that nothing was rounded
operators  ONNX operators for the oracle, as the operator specification defines them: (attributes, inputs) -> result
           or list
sums       The operators that sum products, on float64: Conv, ConvTranspose and MatMul, for any group, stride and
           dilation
"""
