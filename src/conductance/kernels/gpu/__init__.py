"""The kernels of `conductance.kernels` for a GPU, in Triton.

* `choice`: where they run; the one rule, asked by everybody.
* `average`: the average apart from any product, forward and backward, one pass each.
* `product`: linear and 1x1 layers, whose average is the last thing that their product does; `operators` hands it to
  autograd and the compiler, `pending` decides who takes it.

Nothing in here waits for the GPU. Triton is imported when the first of them runs.
"""
