"""Names the packages of the extra ``train`` that are missing, before anything here imports them."""

from conductance.extras import import_extra

for _package in ("accelerate", "filelock", "rich", "safetensors"):
    import_extra(_package, "to train networks", "train")
