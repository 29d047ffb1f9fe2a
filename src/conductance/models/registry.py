"""Models by name."""

from collections.abc import Mapping
from typing import Any

from torch import nn

from conductance.checked import checked
from conductance.errors import InputError, UnknownNameError
from conductance.models.cnn import CNN
from conductance.models.families import get_family
from conductance.models.fcn import FCN
from conductance.models.resnet import ResNet18

ARCHITECTURES: dict[str, type[nn.Module]] = {"fcn": FCN, "cnn": CNN, "resnet18": ResNet18}


@checked
def create_model(
    architecture: str,
    family: str = "cwa",
    input_shape: tuple[int, int, int] = (3, 32, 32),
    num_classes: int = 10,
    *,
    layer_options: Mapping[str, Any] | None = None,
    **options: Any,
) -> nn.Module:
    """A network of the paper, or one of any other size.

    >>> model = create_model("cnn", family="cwa", input_shape=(3, 32, 32), num_classes=10)

    Args:
        architecture: "fcn", "cnn" or "resnet18".
        family: "cwa", "cwa_li", "cwa_bn", "affine", "affine_bn" or "absnorm".
        input_shape: (channels, height, width) of an image.
        num_classes: number of classes.
        layer_options: arguments for every hidden layer, e.g. ``{"learn_resting": True}``.
        options: arguments of the architecture, e.g. ``widths=(64, 64)``.

    Raises:
        UnknownNameError: no such architecture or family; names the nearest.
        InputError: an argument that the architecture or its layers do not have.
    """
    if architecture not in ARCHITECTURES:
        raise UnknownNameError("architecture", architecture, ARCHITECTURES)
    chosen = get_family(family).with_options(layer_options or {})
    try:
        return ARCHITECTURES[architecture](chosen, input_shape, num_classes, **options)
    except TypeError as error:
        if not any(complaint in str(error) for complaint in ("unexpected keyword", "multiple values")):
            raise
        raise InputError(f"{architecture} of family {family}: {error}") from None
