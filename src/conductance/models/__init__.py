"""The paper's networks, with the layer family handed in."""

from conductance.models.cnn import CNN
from conductance.models.families import FAMILIES, Family, get_family
from conductance.models.fcn import FCN
from conductance.models.registry import ARCHITECTURES, create_model
from conductance.models.resnet import ResNet18

__all__ = ["ARCHITECTURES", "CNN", "FAMILIES", "FCN", "Family", "ResNet18", "create_model", "get_family"]
