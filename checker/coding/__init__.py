"""From clips to symbols.

calibration       Calibration pictures, as the exporter takes them
encode            clip -> symbols file: the encoder of both paths, each with its own hyper-decoder in the loop
examples          Inputs of a user's decoder from NumPy files or pictures: to calibrate on, and to decode
h264_anchor       A video codec's package beside H.264
jpeg_anchor       A codec's package beside JPEG
picture_examples  Pictures and clips as inputs of a user's decoder: super-resolution, denoising, whatever takes one
                  picture
scale_table       The scale table of an entropy coder, from a file
"""
