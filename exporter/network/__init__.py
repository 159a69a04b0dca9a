"""FP32 graphs: from torch, from ONNX files, as typed layers.

affine        Factors and shifts of channels behind a layer, taken into its weights and bias
averages      Means of neighbouring pixels as the depthwise convolutions that they are: AveragePool, linear Resize
equalize      Channels between two layers, scaled alike
float_warp    The FP32 scale-space warp in ONNX: written operator by operator, since tracing torch's takes ten seconds
geometry      Convolutions of any geometry as plain ones: a ConvTranspose is convolutions of stride 1, their outputs
              interleaved
graphs        What is asked of a float graph, and constants put into it
layers        Reads the geometry of a Conv, ConvTranspose, Gemm or MatMul node, every attribute of it
model         An ONNX file as users have it -> a float32 graph of one opset, batch 1, whose tensors' sizes are known
pointwise     Functions of one number, however many nodes of a graph they are: one node of ours, for which a table can
              stand
rewrite       Simplifies a float graph without changing what it computes: fewer kinds of nodes, all scales in
              convolutions
shuffles      Pixel shuffles: DepthToSpace and SpaceToDepth, and which of them a run of Reshapes and Transposes is
torch_export  torch -> ONNX, float32 as trained, with dynamic height and width
verify        What ONNX Runtime makes of the user's file, as it is, on the calibration: all else is measured against it
"""
