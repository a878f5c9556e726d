"""Many small INRs at once: the interface and its executors.

``interface`` says what an executor promises; ``cpu`` is the fast one (``tiles``, ``kernels``, ``adam``), ``reference``
the plain one that referees it, ``stacked`` the GPU's (``stacked_bench``, ``stacked_network``, ``stacked_activation``,
``stacked_device``). Axes: ``(point, unit)`` for activations, ``(out, in)`` for weights.
"""
