"""Which grids, ranges and integer weights stand in a float graph's place.

calibration     The latents and hyper-latents that calibration pictures give, for every part of a codec
equalization    Scales the hidden channels of a chain so that each fills the range of its tensor
fitting         One convolution in integers: weights rounded so that its sums over the calibration stay close, biases
                and grids
integer_layers  Chooses the integer form of a chain: weights, grids and rounding, such that design conditions hold
layer_fitting   One layer in integers: weights rounded so that its sums over the calibration stay close, biases and
                grids
reference       Evaluates a chain in float64: the statistics of calibration do not depend on threads or instruction
                sets
rounding        Rounds a layer's weights to their grids so that its sums over the calibration stay close, not each
                weight by itself
synthesis       Chooses the integer form of a synthesis transform: latents to a picture, to motion or to a residual
"""
