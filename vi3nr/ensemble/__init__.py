"""Many small INRs at once: the interface and its executors.

``interface`` says what an executor promises; ``cpu`` is the fast one (``tiles``, ``kernels``, ``adam``), ``reference``
the plain one that referees it. Axes: ``(point, unit)`` for activations, ``(out, in)`` for weights.
"""
