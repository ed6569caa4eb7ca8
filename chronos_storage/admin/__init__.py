"""The admin: everything that is stored can be looked at; what may be changed goes through the facade."""

from importlib import import_module
from pkgutil import iter_modules

# Each registers its own pages.
for _module in iter_modules(__path__):
    import_module(f"{__name__}.{_module.name}")
