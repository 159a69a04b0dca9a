"""Arithmetic: how each operator moves what is known of a tensor. No rule, no proof.

arithmetic    The certificate's rules for sums and products of single elements
attributes    Which attributes each operator may have, and with which values its rule holds
convolution   The certificate's rule for Conv and ConvTranspose, per output channel and stride phase with the real
              weights
layout        The certificate's rules for operators that move elements: their values stay, channels may lose their own
              bounds
products      The certificate's rules for matrix products, and what all products share: weight bits and the pair bound
quantization  The certificate's rules for QuantizeLinear, DequantizeLinear and the operators that contain them
selection     The certificate's rules for operators that round, clip, compare or choose among elements
shapes        The certificate's rules for sizes, and what is folded: constants computed here are the runtime's, bit
              for bit
table         All rules of the certificate: how each operator moves an abstract value
"""
