"""Legs beside their reference: live, from traces, or over an engine's options.

comparator  The one comparator: what legs gave for a frame, live or from traces, counted against the first that gave it
live        Runs the legs side by side over a symbols file, one frame at a time, and has them compared
merge       Comparing traces offline: digests first, and tensors only where digests differ
sweep       Sweep: one leg under all its knobs, one changed at a time, and which of them change bits
"""
