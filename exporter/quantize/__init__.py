"""Which grids, ranges and integer weights stand in a float graph's place.

calibration  The latents and hyper-latents that calibration pictures give, for every part of a codec
fitting      One convolution in integers: weights rounded so that its sums over the calibration stay close, biases and
             grids
moments      What the calibration says of a layer's inputs and of the sums that it should give: means and covariances
rounding     Rounds a layer's weights to their grids so that its sums over the calibration stay close, not each weight
             by itself
"""
