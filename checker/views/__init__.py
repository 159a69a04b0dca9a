"""What a person sees: tables, pictures, plots.

certify_table    Certificates as a person reads them: what fails and its cure first, then each graph, then the targets
diverging        The colours of residual maps: blue below zero, white at zero, orange above
drift_plot       The drift curve: how far apart two decoders' frames are, frame by frame
drift_table      What a clip's report says over time: the drift of the frames, and where index flips fell
maps             Pictures of a comparison: residual maps, for a clip strips over time and the drift curve
placement_table  The placement audit as a person reads it
plain            Names from files as a terminal may see them: no control characters, no markup
plan_table       The plan of an export as a person reads it: what stands in the place of each layer, and how finely
residual         Residual maps: the signed difference of two reconstructed frames, as a picture to look at
residual_sheet   How a residual map is laid out: title, picture, colour bar with its scale, caption
strip            Residual strips: how the difference of two decoders' frames grows over a clip, as one picture per leg
                 and path
sweep_table      A sweep as a person reads it: which knob changes bits
table            The report as a person reads it: legs, differences, rate, verdict
"""
