"""The proof that a graph computes the same bits everywhere, in two halves: rules and idioms.

idioms/        Runtimes: which forms were measured right on a target, and which are known to go wrong
rules/         Arithmetic: how each operator moves what is known of a tensor. No rule, no proof
abstract       The certificate's abstract value: which grid a tensor lives on and how far it reaches, per channel
document       What must be so of a whole ONNX file before its nodes mean anything: one standard, one meaning for each
               name
factors        Constants that a runtime may multiply with one another before it meets the data (A5)
fitting_sizes  Whether there are sizes that a graph can run with: the checker leaves dimensions open that the file
               leaves open
refusals       What to say of operators that have no exact form
targets        Targets of the certificate: which assumptions a runtime guarantees, and which of its defects are known
terms          What a rule of the certificate is given and gives back
verdicts       What is said of a graph and of each of its nodes: proved where, measured where, and why not
walk           Proves a finished ONNX graph exact, node by node: an abstract interpretation from its inputs to its
               outputs
"""
