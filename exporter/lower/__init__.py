"""What stands in an operator's place, in integers, one file per family.

activations  Activations in integers: Relu, LeakyRelu, PRelu, Clip
arithmetic   Sums in integers: terms on a common grid, exact where they fit, else rounded once to 16 bits
codes        Tensors as convolutions read them: integers of a byte or less, or two limbs of a byte at most
flavours     The two ways to write an integer graph, with the same bits
interleave   Phases to pixels: (1, rows x columns x C, h, w), ordered (row, column, channel) -> (1, C, rows h, columns
             w)
layers       A convolution in integers, whatever it reads
limb_layers  A convolution whose weights or activations have more than 8 bits: several convolutions of limbs, added up
             exactly
moves        Operators that move values: channels put together and taken apart, pixels shuffled, borders
multiply     Products: with constants, and of two tensors, whose integers are so small that nothing is lost, or in limbs
operators    The operators that a float graph may have, each with what the integer graph does in its place
phases       What the parts of a layer have in common: names, what they read, and how their outputs become the layer's
pool         MaxPool in integers: it moves values, whatever grid they are on
products     Exact sums of a convolution that no QuantizeLinear follows, without Winograd's algorithm
readers      What the rest of a float graph asks of each of its tensors
reading      In which integers a convolution reads a signed tensor: of 8 bits, with weights of 7, or of 7 bits, with
             weights of 8
readout      How scales leave a graph: as indexes of entropy tables, by thresholds on their grid
resize       Resize in integers: nearest neighbour by whole factors, as pixels put together from equal phases
site         One node of a float graph: what it reads, what is asked of its output, and where its integer form is
             written down
stored       Integer weights as they are stored in front of a DequantizeLinear
tables       Functions of one number by a table of integers (Gather): no runtime computes them, so none does it
             otherwise
values       What the compiler knows of a tensor of the float graph: its grid, its integers over the calibration,
             their range
writing      Steps that both flavours write alike: exact arithmetic on integers in float32
"""
