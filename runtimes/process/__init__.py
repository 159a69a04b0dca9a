"""A process for each leg: how it is started, spoken to and ended, and which environment it has.

environments  Environments of legs that exclude each other: ONNX Runtime's flavours all install the same module
foreign       Python, numpy, onnx and ONNX Runtime of another architecture, in a folder, for an emulated processor
launch        How a leg's process is started: which Python, which environment variables, which emulated processor
orphan        What a leg's process does when the checker that started it has gone: ends, with all that it started and
              left
processors    Processors that this machine does not have, through qemu-user: `cpu@haswell`, `cpu@neoverse-n1`
running       A leg in a process of its own: a crash, a hang or a kill of one leaves the others standing
serving       What the process of one leg answers, messages on standard input and output
wire          Messages between the checker and a leg's process: a JSON header and raw arrays, over a pipe
worker        The process of one leg
"""
