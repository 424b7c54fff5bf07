"""The files in Go file systems, for importlib.resources and importlib.metadata. It is loaded when they are first asked for: what it imports takes
longer than all the rest."""

import contextlib
import errno
import importlib.readers
import importlib.resources
import io
import os
import pathlib
import sys
import tempfile

from _gilt_importer import FILE, FOLDER, NOTHING, tree_of

try:
    from importlib.resources.abc import Traversable, TraversableResources
except ImportError:  # before 3.11
    from importlib.abc import Traversable, TraversableResources


class Path(Traversable):
    """A file or folder in a tree."""

    def __init__(self, tree, path):
        self._tree, self._path = tree, path

    @property
    def name(self):
        return self._path.rpartition("/")[2]

    @property
    def parent(self):
        return self.joinpath("..")

    def iterdir(self):
        return (self / name for name in self._tree.names(self._path))

    def exists(self):
        return self._tree.kind(self._path) != NOTHING

    def is_dir(self):
        return self._tree.kind(self._path) == FOLDER

    def is_file(self):
        return self._tree.kind(self._path) == FILE

    def joinpath(self, *parts):
        path = self._path
        for part in parts:
            for step in str(part).split("/"):
                if step == "..":
                    path = path.rpartition("/")[0] or path
                elif step not in ("", "."):
                    path = f"{path}/{step}"
        return Path(self._tree, path)

    __truediv__ = joinpath

    def open(self, mode="r", *args, **kwargs):
        if not {"r"} <= set(mode) <= {"r", "t", "b"}:
            raise OSError(errno.EROFS, os.strerror(errno.EROFS), self._path)
        data = io.BytesIO(self.read_bytes())
        return data if "b" in mode else io.TextIOWrapper(data, *args, **kwargs)

    def read_bytes(self):
        return self._tree.read(self._path)

    def read_text(self, encoding=None, errors=None):
        with self.open(encoding=encoding, errors=errors) as f:
            return f.read()

    def resolve(self):
        return self

    def relative_to(self, other, **kwargs):
        return pathlib.PurePosixPath(self._path).relative_to(str(other), **kwargs)

    def __str__(self):
        return self._path

    def __repr__(self):
        return f"gilt.Path({self._path!r})"

    def __eq__(self, other):
        return self._path == other._path if isinstance(other, Path) else NotImplemented

    def __hash__(self):
        return hash(self._path)


class Resources(TraversableResources):
    def __init__(self, files):
        self._files = files

    def files(self):
        return self._files


class Portions(importlib.readers.MultiplexedPath):
    """The folders of a namespace package: importlib's own class takes those of the disk only, up to 3.12."""

    def __init__(self, *paths):
        self._paths = list(paths)
        if not all(path.is_dir() for path in paths):
            raise NotADirectoryError(self)


def namespace(paths):
    """The reader of a namespace package with those paths."""
    found = [Path(tree_of(path), path) if tree_of(path) else pathlib.Path(path) for path in paths]
    return Resources(Portions(*(path for path in found if path.is_dir())))


def copy(source, target):
    if source.is_dir():
        target.mkdir()
        for child in source.iterdir():
            copy(child, target / child.name)
    else:
        target.write_bytes(source.read_bytes())


@contextlib.contextmanager
def as_file(path):
    with tempfile.TemporaryDirectory() as folder:
        target = pathlib.Path(folder, path.name)
        copy(path, target)
        yield target


if sys.version_info < (3, 12):  # later as_file takes folders of any kind
    importlib.resources.as_file.register(Path)(as_file)
