"""The two flavours of a codec's graphs, written node by node.

carrier            The carrier flavour: the same integers x 2^e carried in float32 by operators that every GPU
                   provider has
frame_graph        Writes the exact graph that makes a picture: int32 symbols and means in, int32 `frame` in [0, 255]
                   out
integer_graph      Writes the exact graph of an integer chain: int32 symbols in, int32 indexes and means out
integer_operators  Operators that both flavours write alike
inter_graph        Writes the exact graph of a predicted frame: the reference, warped by decoded motion, plus the
                   decoded residual
matrix_product     The exact sum of a layer as integer matrix products: shifted copies of its input, channels last,
                   times its weights
qdq                The qdq flavour: QuantizeLinear/DequantizeLinear around each convolution (ONNX opset 13 semantics)
subpixel           A transposed convolution as stride-1 convolutions of its stride phases, and the layout of their
                   outputs
unfold             A k x k stride-1 convolution as shifted slices and one 1x1 convolution
"""
