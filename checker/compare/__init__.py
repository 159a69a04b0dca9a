"""Legs beside their reference: live, from traces, or over an engine's options.

live   Runs the legs side by side over a symbols file and counts differences, one frame at a time
merge  Comparing traces offline: digests first, and tensors only where digests differ
sweep  Sweep: one leg under all its knobs, one changed at a time, and which of them change bits
"""
