"""Imports from Go file systems (gilt.Config.FS, Runtime.AddFS). Each is an entry of sys.path, "<go1>", with a hook of its own
in sys.path_hooks: importlib and pkgutil then treat its packages as they treat those of a folder or an archive."""

import errno
import importlib.machinery
import os
import posixpath
import sys
from importlib import _bootstrap_external

NOTHING, FILE, FOLDER = range(3)
IN_CHILD = "a child made by fork cannot"


class Tree:
    """A Go file system. Paths in it begin with root, its entry of sys.path."""

    def __init__(self, root, kind, read, names):
        self.root, self._kind, self._read, self._names = root, kind, read, names
        self.forked = False

    def holds(self, path):
        return path == self.root or path.startswith(self.root + "/")

    def kind(self, path):
        if self.forked:
            raise OSError(f"{path}: {IN_CHILD} read a Go file system: read it before, or start the child with multiprocessing's spawn")
        inner = self._inner(path)
        return NOTHING if inner is None else self._kind(inner)

    def read(self, path):
        self._want(path, FILE, errno.EISDIR)
        return self._read(self._inner(path))

    def names(self, path):
        self._want(path, FOLDER, errno.ENOTDIR)
        return [os.fsdecode(name) for name in self._names(self._inner(path))]

    def _inner(self, path):
        """The path for Go, or None for one that no file can have."""
        try:
            return posixpath.normpath(path[len(self.root) :].lstrip("/")).encode()
        except UnicodeEncodeError:
            return None

    def _want(self, path, kind, otherwise):
        found = self.kind(path)
        if found != kind:
            code = otherwise if found else errno.ENOENT
            raise OSError(code, os.strerror(code), path)


trees = []


def tree_of(path):
    """The tree that holds path, or None."""
    if isinstance(path, str) and path.startswith("<go"):
        for tree in trees:
            if tree.holds(path):
                return tree
    return None


def resources():
    """The module that reads files for Python code."""
    name = "_gilt_resources"
    if name not in sys.modules:
        module = type(sys)(name)
        exec(compile(RESOURCES, f"<{name}>", "exec"), module.__dict__)
        sys.modules.setdefault(name, module)
    return sys.modules[name]


NamespaceLoader = getattr(_bootstrap_external, "NamespaceLoader", None) or _bootstrap_external._NamespaceLoader  # before 3.11
reader_of_disk = NamespaceLoader.get_resource_reader


def namespace_reader(loader, name):
    if any(tree_of(path) for path in loader._path):
        return resources().namespace(loader._path)
    return reader_of_disk(loader, name)


class InTree:
    """What the loaders of files in a tree have, before importlib's own."""

    def get_data(self, path):
        tree = tree_of(path)
        return tree.read(path) if tree else super().get_data(path)

    def get_resource_reader(self, name):
        return resources().Resources(resources().Path(tree_of(self.path), self.path).parent)


class SourceLoader(InTree, importlib.machinery.SourceFileLoader):
    def path_stats(self, path):
        raise OSError  # what is compiled is not kept


class BytecodeLoader(InTree, importlib.machinery.SourcelessFileLoader):
    pass


LOADERS = [(".py", SourceLoader), (".pyc", BytecodeLoader)]


class Finder:
    """Finds modules in a folder of a tree."""

    def __init__(self, tree, path):
        self.tree, self.path = tree, path

    def find_spec(self, fullname, target=None):
        if self.tree.forked:
            if self.path == self.tree.root:
                return None
            raise ImportError(f"{fullname}: {IN_CHILD} import from a Go file system: import it before, or start the child with multiprocessing's spawn", name=fullname)
        where = f"{self.path}/{fullname.rpartition('.')[2]}"
        folder = self.tree.kind(where) == FOLDER
        for stem, package in [(f"{where}/__init__", True)] * folder + [(where, False)]:
            for suffix, loader in LOADERS:
                if self.tree.kind(stem + suffix) == FILE:
                    return self.spec(fullname, stem + suffix, loader, package)
        if not folder:
            return None
        spec = importlib.machinery.ModuleSpec(fullname, None, is_package=True)  # a portion of a namespace package
        spec.submodule_search_locations = [where]
        return spec

    @staticmethod
    def spec(fullname, file, loader, package):
        spec = importlib.machinery.ModuleSpec(fullname, loader(fullname, file), origin=file, is_package=package)
        spec.has_location = True  # __file__, and the lines of tracebacks
        if package:
            spec.submodule_search_locations.append(file.rpartition("/")[0])
        return spec

    def invalidate_caches(self):
        pass  # there are none

    def iter_modules(self, prefix=""):
        """For pkgutil, as of a folder: packages without an __init__ are left out."""
        import inspect

        seen = {"__init__"}
        for name in sorted(self.entries(self.path)):
            module, package = inspect.getmodulename(name), False
            if not module and any(inspect.getmodulename(n) == "__init__" for n in self.entries(f"{self.path}/{name}")):
                module, package = name, True
            if module and "." not in module and module not in seen:
                seen.add(module)
                yield prefix + module, package

    def entries(self, path):
        try:
            return self.tree.names(path)
        except OSError:
            return []


class Distributions:
    """Finds distributions, for importlib.metadata, and no modules."""

    def find_spec(self, *args):
        return None

    def invalidate_caches(self):
        pass

    def find_distributions(self, context=None):
        from importlib.metadata import DistributionFinder, PathDistribution

        context = context or DistributionFinder.Context()
        wanted = context.name and normalised(context.name)
        for path in context.path:
            tree = tree_of(path)
            for name in sorted(Finder(tree, path).entries(path)) if tree else []:
                stem, _, kind = name.lower().rpartition(".")
                if kind in ("dist-info", "egg-info") and wanted in (None, normalised(stem.partition("-")[0])):
                    yield PathDistribution(resources().Path(tree, path) / name)


def normalised(name):
    import re

    return re.sub(r"[-_.]+", "_", name).lower()


def hook(path):
    tree = tree_of(path)
    if tree and (tree.forked or tree.kind(path) == FOLDER):
        return Finder(tree, path)
    raise ImportError(f"no folder of a Go file system: {path!r}", path=path)


def forked():
    """In a child made by fork, which cannot call Go: what is imported already stays, and nothing else is found."""
    for tree in trees:
        tree.forked = True


def add(root, functions):
    trees.append(Tree(root, **functions))
    sys.path.append(root)


sys.path_hooks.insert(0, hook)  # before that of folders: one of the working directory may have the name
sys.meta_path.append(Distributions())
NamespaceLoader.get_resource_reader = namespace_reader
os.register_at_fork(after_in_child=forked)
