"""The scale-space warp in integers.

atlas       All levels of the pyramid in one picture, and its table of neighbours: one Gather reads what one sample
            needs
graph       The scale-space warp of a reference picture in integers, with dynamic height and width
prediction  A predicted frame: the reference, warped by decoded motion, plus the decoded residual
pyramid     The Gaussian pyramid of the scale-space warp in integers: blur, halve, blur,
sides       Height and width of a picture as data, counted on the device: a sum over ones in place of the shape
"""
