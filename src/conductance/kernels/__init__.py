"""The equation of `conductance.functional`, faster: each kernel gives the same numbers as the plain formula.

* `averaging`: from E' and I' to z = (E' - I') / (E' + I'), in blocks that stay in the processor's cache or as one
  compiled pass.
* `mixed`: the same in half precision, from sums of which the large, common part was kept apart.
* `native`: the average as compiled C++.
* `convolution`: sums of a convolution and their average in one compiled pass.
* `splitting`: what such sums are made of.
* `windows`: convolutions that are matrix products.
* `onednn`: matrix products by the faster of torch's two libraries.
* `rounded`: matrix products of bfloat16 with float32 sums.
* `steps`: what an optimizer does to each parameter.
* `pooling`: the average of units on which their layer's pooled interneuron acts.
* `residual`: the average at the end of a residual block, joined with the shortcut.
* `products`: the sums over synapses, E' and I' of all units by as few products as the valences allow.
* `linear`: both products of a linear layer without copying a half of anything.
* `gpu`: the average, and products that average by themselves, in Triton.

Where torch has to see through an operation (``torch.compile``, ``torch.export``, ``torch.func``, second derivatives)
the plain formula is taken, whatever was chosen.
"""

from conductance.kernels.averaging import AVERAGES, average_kernel, use_average
from conductance.kernels.linear import paired_linear
from conductance.kernels.mixed import SplitSums, Sums, average, dense, joined
from conductance.kernels.pooling import pool, pooled_average
from conductance.kernels.products import (
    SMALLEST_LEAK,
    SynapticSum,
    channel_axis,
    low_precision,
    open_conductances,
    pack,
    pack_for_many,
    pack_signed,
)
from conductance.kernels.residual import joined_average

__all__ = [
    "AVERAGES",
    "SMALLEST_LEAK",
    "SplitSums",
    "Sums",
    "SynapticSum",
    "average",
    "average_kernel",
    "channel_axis",
    "dense",
    "joined",
    "joined_average",
    "low_precision",
    "open_conductances",
    "pack",
    "pack_for_many",
    "pack_signed",
    "paired_linear",
    "pool",
    "pooled_average",
    "use_average",
]
