"""What is checked: codecs, their weights, and what lies on disk.

artifacts/  What lies on disk: packages, symbols, entropy tables; every digest is checked, and nothing here needs torch
codecs/     Codecs as torch modules, and how checkpoints are read into them
training/   How the bundled weights are trained
atomic      Files and folders that appear whole or not at all, and never in the place of what is somebody else's
digest      SHA-256 of files, tensors and JSON documents, the same on every machine
errors      What can go wrong, and the exit code the shell sees
grid        Dyadic grids: value = integer x 2^e
motion      Motion by block matching on 8-bit integers: the same flow on every machine, for encoders that are shown it
precision   Bits of weights and activations, of a whole graph and of single layers
text        Text that any file can hold, whatever the system's names and encodings are
"""
