"""What compares: clips in, verdicts out.

cli/       The command line
coding/    From clips to symbols
compare/   Legs beside their reference: live, from traces, or over an engine's options
media/     Pictures and clips: reading, measuring, making them
traces/    What one leg computed, as a file
views/     What a person sees: tables, pictures, plots
certify    The certificates of a package or of any ONNX file, computed anew, for one target
measure    A graph whose forms nobody has measured on a target, measured here: run on a leg, compared with the oracle
providers  The list of legs: ready, not installed (with the line that installs it), or cannot start (with the reason)
report     The report of a comparison: schema nvc-check/report/1, verdicts and exit code
"""
