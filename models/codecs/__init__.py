"""Codecs as torch modules, and how checkpoints are read into them.

architectures    The topologies that this version exports: how to build each from weights, and where its trained
                 weights are
block_flow       Motion by block matching, for the encoder: where each pixel of a frame was in the frame before
checkpoint       Which codec a checkpoint holds, wherever in it the weights lie
fit              How well the tensors of a checkpoint, under some prefix, make up a topology
hyperprior       A hyperprior of a torch codec on numpy arrays: latents to symbols, symbols to entropy parameters
image            A hyperprior image codec in torch: what is exported, and how a picture is coded
loading          Codecs by name or checkpoint
mean_scale_relu  A small mean-scale hyperprior image codec whose only non-linearity is ReLU
other_codecs     CompressAI's codecs that this version does not export, recognised by the keys of their state dicts
seeded           Untrained codecs from a seed: for trying export and runtimes at full width where no weights are at
                 hand
ssf_small        ssf-small: scale-space flow with 64 channels throughout, flow in pixels, and an encoder that is shown
                 the motion
stand_ins        What a torch checkpoint holds beside tensors, without running any of it
state_file       Weights on disk: safetensors files and torch checkpoints, and every tensor that they hold at whatever
                 depth
topology         What a topology's state dict looks like at any width: the shape of each weight as a function of the
                 widths
video            CompressAI's scale-space flow in torch: what is exported, and how a frame is coded
"""
