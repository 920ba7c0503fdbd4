"""One module per technique. Each has `compress(spec, corpus, teacher)`: the stages that the technique trains, in order,
none of which is the teacher itself unless the technique is to leave it as it is.

A run's key covers the module of its own technique and what that imports, not the others.
"""
