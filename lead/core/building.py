"""From a plain description to an object: ``{"_target_": "lead.models.vae.MotionVAE", ...}``.

The same description stands in the YAML files and in each run directory. Only this package's own
classes and ``make_...`` functions are followed, so that a run directory from elsewhere cannot name
code to execute or files to write.
"""

import importlib
import inspect
from collections.abc import Mapping

from lead.core.errors import RequestError, did_you_mean


def build(description: object, **extra: object):
    """Build the object that ``description`` names; nested descriptions are built first.

    ``extra`` adds keyword arguments to the outermost call. Anything without ``_target_`` is
    returned as it is. Raises RequestError for a name outside ``lead`` and for unknown options.
    """
    if isinstance(description, (list, tuple)):
        return [build(entry) for entry in description]
    if not isinstance(description, Mapping):
        return description
    values = {key: build(value) for key, value in description.items() if key != "_target_"}
    if "_target_" not in description:
        return values
    target = _find(str(description["_target_"]))
    values.update(extra)
    _check_options(target, values, str(description["_target_"]))
    return target(**values)


def _find(name: str):
    module, _, attribute = name.rpartition(".")
    if not module.startswith("lead."):
        raise RequestError(f"_target_ '{name}' is not part of lead: only lead's own classes load")
    try:
        target = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        raise RequestError(f"_target_ '{name}' cannot be loaded: {error}") from error
    own = str(getattr(target, "__module__", "")).startswith("lead.")
    made = inspect.isfunction(target) and attribute.startswith("make_")
    if not own or not (inspect.isclass(target) or made):
        raise RequestError(
            f"_target_ '{name}' is neither a class nor a make_... function of lead: name one"
        )
    return target


def _check_options(target, values: dict, name: str) -> None:
    parameters = inspect.signature(target).parameters
    for key in values:
        if key not in parameters:
            hint = did_you_mean(str(key), parameters)
            raise RequestError(f"{name} has no option '{key}': {hint}")
    for key, parameter in parameters.items():
        if parameter.default is parameter.empty and key not in values:
            raise RequestError(f"{name} needs the option '{key}'")
