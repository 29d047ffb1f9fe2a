"""Neural networks whose neurons average conductances, as a Hodgkin-Huxley membrane does.

    import conductance
    model = conductance.create_model("cnn", family="cwa", input_shape=(3, 32, 32), num_classes=10)

`conductance.nn` has the layers, `conductance.functional` the equation, `conductance.init` and `conductance.optim` what
trains them, `conductance.biophysics` the same in millivolts and nanosiemens.
"""

from conductance import functional, init, nn, optim
from conductance.analysis import observe
from conductance.errors import ConductanceError
from conductance.models import create_model
from conductance.transform import freeze

__version__ = "0.1.0"

__all__ = ["ConductanceError", "create_model", "freeze", "functional", "init", "nn", "observe", "optim"]
