"""From a codec or an ONNX file to a package.

certificate/       The proof that a graph computes the same bits everywhere, in two halves: rules and idioms
lower/             What stands in an operator's place, in integers, one file per family
network/           FP32 graphs: from torch, from ONNX files, as typed layers
quantize/          Which grids, ranges and integer weights stand in a float graph's place
warp/              The scale-space warp in integers
analysis_graph     A codec's encoders in integers, by the compiler of decoders: what an encoder sees in, its latents out
codec_compiler     A codec's FP32 graphs -> its exact integer graphs, which the package's writer and the plan share
entropy_graph      A codec's hyper-decoder in integers, by the compiler of decoders
export             codec -> package: FP32 graphs, exact integer graphs, frozen tables, certificate, digests
frame_graph        A codec's decoders of frames in integers, by the compiler of decoders: what a codec adds are the
                   roles of inputs and outputs
frozen_tables      Integer CDF tables of a torch codec, made once at export
graph_compiler     A float ONNX graph -> its exact integer graphs: int32 in, int32 out, on grids that the package
                   states
graph_export       A user's float ONNX decoder -> package: the graph as it was read, its exact integer form,
                   certificate, digests
graph_reader       Goes through a float graph node by node, and writes what it read in integers
graph_writer       Writes an ONNX graph node by node, with one initializer per distinct constant
memory             Memory that is freed stays with the process: large arrays that come and go cost page faults else
parallel           The same work on several pictures at once
user_graph         A float ONNX graph in memory -> its exact integer form
"""
