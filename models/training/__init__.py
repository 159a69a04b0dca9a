"""How the bundled weights are trained.

crops         Short clips for training, made from photographs: pan, zoom, rotation, objects in front, brightness
image         Trains the image codec on a folder of photographs
loop          What the two trainers share: photographs, optimizers, schedule, and a checkpoint to go on from
muon          Muon: momentum whose update is orthogonalised, for convolution kernels
video         Trains ssf-small on moving crops of photographs
weights_file  Weights of a torch codec as a safetensors file: float16-representable, with the tables' quantiles found
"""
