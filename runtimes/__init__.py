"""Legs: a runtime, a device and options, all behind one Protocol.

engines/     One file per engine
oracle/      Exact arithmetic: the leg with which all others are compared
process/     A process for each leg: how it is started, spoken to and ended, and which environment it has
decoding     What a leg does with the symbols of one frame: entropy graphs, indexes, frame graph; at scope codec, with
             the picture too: its symbols anew
encoding     A picture's symbols: latents by the analysis graph, means by the entropy graph, what is left of them
             rounded
fingerprint  The machine and its software, as a trace records them: what can change the bits of a float kernel
leg          What a leg is, and the one interface that every engine implements
loaded       A package's graphs, loaded on one engine and timed, and what ran of them
placement    The placement audit: for every node that ran, on which provider, and as what
probe        Whether a leg really runs here: its engine is opened and runs a small graph with a known answer
registry     Every leg that there is
"""
