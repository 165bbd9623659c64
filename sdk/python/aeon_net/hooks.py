"""What is changed only once a program imports it: asyncio, and `ssl`, which the stock interpreter lacks."""

import importlib.machinery
import sys


class _Loader:
    """Loads as `loader` does, which may serve many modules, and has something done afterwards."""

    def __init__(self, loader, then):
        self._loader, self._then = loader, then

    def __getattr__(self, name):
        return getattr(self._loader, name)

    def exec_module(self, module):
        module.__loader__ = module.__spec__.loader = self._loader
        self._loader.exec_module(module)
        self._then(module)


class _After:
    """Finds one module as usual, and has something done right after it has been loaded."""

    def __init__(self, name, then):
        self._name, self._then = name, then

    def find_spec(self, name, path=None, target=None):
        if name != self._name:
            return None
        sys.meta_path.remove(self)
        spec = importlib.machinery.PathFinder.find_spec(name, path, target)
        if spec is None:
            for finder in sys.meta_path:
                spec = finder.find_spec(name, path, target)
                if spec is not None:
                    break
        if spec is not None and spec.loader is not None:
            spec.loader = _Loader(spec.loader, self._then)
        return spec


def _after(name, then):
    if name in sys.modules:
        then(sys.modules[name])
    else:
        sys.meta_path.insert(0, _After(name, then))


class _Tls:
    """Finds `ssl` here, where there is no other one."""

    def find_spec(self, name, path=None, target=None):
        if name != "ssl":
            return None
        import importlib.util
        import os
        return importlib.util.spec_from_file_location("ssl", os.path.join(os.path.dirname(__file__), "tls.py"))


def _asyncio(unix_events):
    from . import loop
    loop.install(unix_events)


def install():
    _after("asyncio.unix_events", _asyncio)
    if "socketserver" in sys.modules:
        from .waiting import Selector
        sys.modules["socketserver"]._ServerSelector = Selector
    sys.meta_path.append(_Tls())
