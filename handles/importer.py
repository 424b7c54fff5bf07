"""Imports modules and packages from a Go file system (gilt.Config.FS, Runtime.AddFS)."""
import importlib.abc
import importlib.machinery
import io
import os
import sys

try:
    from importlib.resources.abc import Traversable, TraversableResources
except ImportError:  # before 3.11
    from importlib.abc import Traversable, TraversableResources


class Path(Traversable):
    """A file or folder of the Go file system."""

    def __init__(self, path):
        self.path = path

    @property
    def name(self):
        return self.path.rpartition("/")[2]

    def iterdir(self):
        return (self / n for n in listdir(self.path))

    def is_dir(self):
        return kind(self.path) == 2

    def is_file(self):
        return kind(self.path) == 1

    def joinpath(self, *parts):
        path = self.path
        for part in parts:
            for step in str(part).split("/"):
                if step == "..":
                    path = path.rpartition("/")[0]
                elif step not in ("", "."):
                    path = f"{path}/{step}" if path else step
        return Path(path)

    __truediv__ = joinpath

    def open(self, mode="r", *args, **kwargs):
        data = io.BytesIO(read(self.path))
        return data if "b" in mode else io.TextIOWrapper(data, *args, **kwargs)

    def read_bytes(self):
        return read(self.path)

    def read_text(self, encoding="utf-8", errors="strict"):
        return read(self.path).decode(encoding, errors)

    def __repr__(self):
        return f"gilt.Path({self.path!r})"


class Resources(TraversableResources):
    def __init__(self, path):
        self.path = path

    def files(self):
        return Path(self.path)


class Loader(importlib.abc.SourceLoader):
    def __init__(self, path, package):
        self.path, self.package = path, package

    def get_filename(self, name):
        return f"<{label}>/{self.path}"

    def get_data(self, path):
        path = path.removeprefix(f"<{label}>/")
        if path != self.path:
            raise OSError(f"no {path}")  # compiled files are not kept
        return read(path)

    def path_stats(self, path):
        raise OSError

    def is_package(self, name):
        return self.package is not None

    def get_resource_reader(self, name):
        return None if self.package is None else Resources(self.package)


class Finder(importlib.abc.MetaPathFinder):
    @staticmethod
    def find_spec(name, path=None, target=None):
        where = name.replace(".", "/")
        for file, package in ((f"{where}/__init__.py", where), (f"{where}.py", None)):
            if kind(file) == 1:
                loader = Loader(file, package)
                return importlib.machinery.ModuleSpec(name, loader, origin=loader.get_filename(name), is_package=package is not None)
        if kind(where) == 2 and path is None or path and any(p.startswith(f"<{label}>") for p in path) and kind(where) == 2:
            spec = importlib.machinery.ModuleSpec(name, None, is_package=True)  # a namespace package
            spec.submodule_search_locations = [f"<{label}>/{where}"]
            return spec
        return None


def fix(spec):
    if spec is not None and spec.loader is not None:
        spec.has_location = True  # tracebacks and __file__
        if spec.submodule_search_locations is not None:
            spec.submodule_search_locations[:] = [spec.origin.rpartition("/")[0]]
    return spec


find = Finder.find_spec
Finder.find_spec = staticmethod(lambda name, path=None, target=None: fix(find(name, path, target)))
sys.meta_path.append(Finder)


def forked():
    """In a child made by fork, which cannot call Go: what is imported already stays, and nothing else is found."""

    def refuse(path):
        raise OSError(f"<{label}>/{path}: a child made by fork cannot read a Go file system: read it before, or start the child with multiprocessing's spawn")

    def find_spec(name, path=None, target=None):
        if path and any(p.startswith(f"<{label}>") for p in path):
            raise ImportError(f"{name}: a child made by fork cannot import from a Go file system: import it before, or start the child with multiprocessing's spawn", name=name)

    globals().update(read=refuse, kind=refuse, listdir=refuse)
    Finder.find_spec = staticmethod(find_spec)


os.register_at_fork(after_in_child=forked)
