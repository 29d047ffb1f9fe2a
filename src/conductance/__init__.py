"""Neural networks whose neurons average conductances, as a Hodgkin-Huxley membrane does.

    import conductance
    model = conductance.create_model("cnn", family="cwa", input_shape=(3, 32, 32), num_classes=10)

`conductance.nn` has the layers, `conductance.functional` the equation, `conductance.init` and `conductance.optim` what
trains them, `conductance.circuits` populations and projections, `conductance.biophysics` the same in millivolts and
nanosiemens, `conductance.share` trained networks in files. Each is imported when it is first used.
"""

TYPE_CHECKING = False  # type checkers take it for True; the module typing would double the time of this import

if TYPE_CHECKING:
    from conductance import analysis, biophysics, circuits, data, functional, init, models, nn, optim, share, transform
    from conductance.analysis.check import check
    from conductance.analysis.observe import observe
    from conductance.analysis.summary import summary
    from conductance.analysis.validate import validate
    from conductance.errors import ConductanceError
    from conductance.models import create_model
    from conductance.optim import estimate
    from conductance.share.loading import load
    from conductance.share.saving import save
    from conductance.training import Trainer, TrainingConfig
    from conductance.transform.convert import convert
    from conductance.transform.freeze import freeze

__version__ = "0.2.0"

__all__ = [
    "ConductanceError",
    "Trainer",
    "TrainingConfig",
    "analysis",
    "biophysics",
    "check",
    "circuits",
    "convert",
    "create_model",
    "data",
    "estimate",
    "freeze",
    "functional",
    "init",
    "load",
    "models",
    "nn",
    "observe",
    "optim",
    "save",
    "share",
    "summary",
    "transform",
    "validate",
]

# Where a name is that is no module of its own. Imports wait until then, so that the command line starts at once.
_HOMES = {
    "ConductanceError": "conductance.errors",
    "Trainer": "conductance.training",
    "TrainingConfig": "conductance.training",
    "check": "conductance.analysis",
    "convert": "conductance.transform",
    "create_model": "conductance.models",
    "estimate": "conductance.optim",
    "freeze": "conductance.transform",
    "load": "conductance.share",
    "observe": "conductance.analysis",
    "save": "conductance.share",
    "summary": "conductance.analysis",
    "validate": "conductance.analysis",
}

if not TYPE_CHECKING:

    def __getattr__(name):
        from importlib import import_module

        if name in _HOMES:
            value = getattr(import_module(_HOMES[name]), name)
        elif name in __all__:
            value = import_module(f"conductance.{name}")
        else:
            raise AttributeError(f"module 'conductance' has no attribute {name!r}")
        globals()[name] = value
        return value

    def __dir__():
        return sorted({*globals(), *__all__})
