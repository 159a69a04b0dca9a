"""A float ONNX graph as the exporter reads it: prepared, simplified, its convolutions plain ones."""
