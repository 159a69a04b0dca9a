"""The command line.

compare    The commands `record` and `compare`
console    What the terminal sees: progress on a terminal, silence in a pipe, errors in one line
endings    How a command ends without its verdict: signals, a full disk, a reader that went, an error of its own
export     The command `export`
main       The command line
providers  The command `providers`: the list of legs, and making what one needs
steps      Steps that several commands share: a sample clip, a clip's symbols
"""
