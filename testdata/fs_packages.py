"""What programs ask of packages. TestFSPackages runs it over a folder and over the same files in Go file systems:
the answers are the same, but for the root's name."""

import importlib
import importlib.metadata as metadata
import importlib.resources as resources
import importlib.util
import inspect
import linecache
import pkgutil
import runpy
import sys
import traceback
import warnings

warnings.simplefilter("ignore")  # functions that are old


def show(name, f):
    try:
        answer = f()
    except Exception as e:
        answer = f"!! {type(e).__name__}: {e}"
    print(f"{name}: {answer}")


def names(files):
    return sorted(f.name for f in files if f.name != "__pycache__")


def modules(*args):
    return sorted((m.name, m.ispkg) for m in pkgutil.iter_modules(*args))


def with_file(path, f):
    with resources.as_file(path) as file:
        return f(file)


def fails(f):
    try:
        f()
    except Exception:
        return traceback.format_exc().partition("\n  File ")[2].partition("\n  File ")[2]


show("invalidate before", importlib.invalidate_caches)
show("import", lambda: (__import__("plug").X, importlib.import_module("plug.sub.b").Y, importlib.import_module("single").V))
show("import bytecode", lambda: importlib.import_module("plug.compiled").__name__)
show("import missing", lambda: [importlib.import_module(n) for n in ("plug.nothing",)])
show("import missing name", lambda: importlib.import_module("plug.n\udcff"))
show("import broken", lambda: importlib.import_module("plug.broken"))
show("a folder and a module of one name", lambda: importlib.import_module("plug.both").WHAT)

import plug

show("attributes", lambda: (plug.__file__, plug.__path__, plug.__package__, plug.__spec__.name, plug.__spec__.origin, plug.__spec__.has_location, plug.__spec__.parent))
show("cached", lambda: (plug.__spec__.cached, importlib.import_module("plug.a").__spec__.cached))
show("find_spec", lambda: (importlib.util.find_spec("plug.a").name, importlib.util.find_spec("plug.sub").submodule_search_locations, importlib.util.find_spec("plug.zzz")))
show("loader", lambda: (plug.__loader__.name, plug.__loader__.path, plug.__loader__.is_package("plug"), plug.__loader__.get_source("plug"), plug.__loader__.get_filename()))
show("reload", lambda: importlib.reload(plug).X)
show("resolve_name", lambda: pkgutil.resolve_name("plug.a:go")())
show("get_loader", lambda: pkgutil.get_loader("plug") is not None if hasattr(pkgutil, "get_loader") else "gone")

show("iter_modules", lambda: modules(plug.__path__))
show("iter_modules prefix", lambda: modules(plug.__path__, "plug."))
show("iter_modules top", lambda: [m for m in modules() if m[0] in ("plug", "single", "runme", "nsp", "shared", "extended")])
show("walk_packages", lambda: sorted(m.name for m in pkgutil.walk_packages(plug.__path__, "plug.")))
show("extend_path", lambda: importlib.import_module("extended").__path__)

show("version", lambda: (metadata.version("plug"), metadata.version("Odd.Name"), metadata.version("egg"), metadata.version("egg_file")))
show("version missing", lambda: metadata.version("no_such_distribution"))
show("metadata", lambda: metadata.metadata("plug")["Summary"])
show("requires", lambda: metadata.requires("plug"))
show("entry_points", lambda: [(e.name, e.value, e.dist.name, e.load()()) for e in metadata.entry_points(group="my.group")])
show("files", lambda: sorted((str(f), f.size) for f in metadata.files("plug")))
show("files read", lambda: {f.name: (f.read_text(), str(f.locate())) for f in metadata.files("plug") if f.name == "a.py"})
show("files read bytes", lambda: [f.read_binary() for f in metadata.files("plug") if f.name == "x.bin"])
show("files of an egg", lambda: sorted(map(str, metadata.files("egg"))))
show("files of an installed egg", lambda: sorted(map(str, metadata.files("old") or [])))
show("distributions", lambda: sorted(d.metadata["Name"] for d in metadata.distributions() if d.metadata["Name"] in ("plug", "Odd.Name", "egg", "egg-file")))
show("distributions of a path", lambda: sorted(d.metadata["Name"] for d in metadata.distributions(path=[plug.__path__[0].removesuffix("/plug")])))
show("distribution", lambda: (metadata.distribution("plug").name, str(metadata.distribution("plug").locate_file("plug/a.py")), metadata.distribution("plug").read_text("nothing")))
show("packages_distributions", lambda: [metadata.packages_distributions().get(n) for n in ("plug", "odd")])

show("resources read", lambda: resources.files("plug").joinpath("data.txt").read_text())
show("resources read, windows lines", lambda: (resources.files("plug").joinpath("lines.txt").read_text(), resources.files("plug").joinpath("lines.txt").read_bytes()))
show("resources read missing", lambda: resources.files("plug").joinpath("nothing.txt").read_text())
show("resources read a folder", lambda: resources.files("plug").joinpath("sub").read_text())
show("resources read in no folder", lambda: (resources.files("plug") / "no" / "such" / "file").read_bytes())
show("resources list", lambda: names(resources.files("plug").iterdir()))
show("resources list missing", lambda: names((resources.files("plug") / "no").iterdir()))
show("resources deep", lambda: ((resources.files("plug") / "sub" / "deep" / "x.bin").read_bytes(), resources.files("plug").joinpath("sub/deep/x.bin").is_file()))
show("resources up", lambda: (resources.files("plug") / "sub" / ".." / "data.txt").read_text())
show("resources kinds", lambda: [(p.is_file(), p.is_dir(), p.exists(), p.name) for p in (resources.files("plug") / n for n in ("data.txt", "sub", "none"))])
show("resources equal", lambda: (resources.files("plug") == resources.files("plug"), str(resources.files("plug")), len({resources.files("plug"), resources.files("plug")})))
show("resources open", lambda: (resources.files("plug") / "utf16.txt").open(encoding="utf-16").read())
show("resources as_file", lambda: with_file(resources.files("plug") / "data.txt", lambda f: f.read_text()))
show("resources as_file of a folder", lambda: with_file(resources.files("plug") / "sub", lambda f: (f.name, names(f.iterdir()), (f / "deep" / "x.bin").read_bytes())))
show("resources of a module", lambda: names(resources.files("plug.a").iterdir()))
show("resources.read_text", lambda: resources.read_text("plug", "data.txt"))
show("resources.is_resource", lambda: [resources.is_resource("plug", n) for n in ("data.txt", "sub", "none")])
show("resources.contents", lambda: sorted(x for x in resources.contents("plug") if x != "__pycache__"))
show("resources.open_binary", lambda: resources.open_binary("plug", "data.txt").read())
show("get_data", lambda: (pkgutil.get_data("plug", "data.txt"), pkgutil.get_data("plug", "sub/deep/x.bin"), pkgutil.get_data("plug", "../single.py")))
show("get_data missing", lambda: pkgutil.get_data("plug", "none.txt"))
show("get_data of a folder", lambda: pkgutil.get_data("plug", "sub"))

show("namespace", lambda: (importlib.import_module("nsp.one").Z, importlib.import_module("nsp.mod").W))
show("namespace attributes", lambda: (sys.modules["nsp"].__file__, list(sys.modules["nsp"].__path__), type(sys.modules["nsp"].__loader__).__name__, sys.modules["nsp"].__spec__.origin))
show("namespace iter_modules", lambda: modules(sys.modules["nsp"].__path__))
show("namespace resources", lambda: (names(resources.files("nsp").iterdir()), resources.files("nsp").joinpath("note.txt").read_text(), resources.files("nsp").name))
show("namespace get_data", lambda: pkgutil.get_data("nsp", "note.txt"))
show("namespace on disk too", lambda: (importlib.import_module("shared.disk").WHERE, importlib.import_module("shared.tree").WHERE, len(list(sys.modules["shared"].__path__))))
show("namespace on disk too, modules", lambda: modules(sys.modules["shared"].__path__))
show("namespace on disk too, resources", lambda: (names(resources.files("shared").iterdir()), (resources.files("shared") / "disk.txt").read_text(), (resources.files("shared") / "tree.txt").read_text()))
show("namespace reload", lambda: importlib.reload(sys.modules["nsp"]).__name__)

show("getsource", lambda: inspect.getsource(plug.a.go))
show("getsourcefile", lambda: (inspect.getsourcefile(plug.a), inspect.getfile(plug.a), inspect.getmodule(plug.a.go).__name__))
show("getline", lambda: linecache.getline(plug.a.__file__, 2, plug.a.__dict__))
show("traceback", lambda: fails(plug.a.fails))
show("runpy", lambda: runpy.run_module("runme", run_name="x")["__name__"])
show("runpy of a path", lambda: runpy.run_path(plug.__path__[0].removesuffix("plug") + "runme")["__name__"])
show("invalidate after", importlib.invalidate_caches)
show("import again", lambda: importlib.import_module("late").T)
