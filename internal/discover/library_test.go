package discover

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// elfHeader is a 64-bit ELF header alone, of a shared object for machine.
func elfHeader(machine elf.Machine) string {
	var h elf.Header64
	copy(h.Ident[:], elf.ELFMAG)
	h.Ident[elf.EI_CLASS] = byte(elf.ELFCLASS64)
	h.Ident[elf.EI_DATA] = byte(elf.ELFDATA2LSB)
	h.Ident[elf.EI_VERSION] = byte(elf.EV_CURRENT)
	h.Type, h.Machine, h.Version, h.Ehsize = uint16(elf.ET_DYN), uint16(machine), uint32(elf.EV_CURRENT), 64
	h.Phentsize, h.Shentsize = 56, 64
	var b bytes.Buffer
	_ = binary.Write(&b, binary.LittleEndian, h)
	return b.String()
}

func needELF(t *testing.T) {
	t.Helper()
	if nativeFormat() != formatELF {
		t.Skip("this test makes ELF files, which " + runtime.GOOS + " does not load")
	}
}

func TestBadLibraries(t *testing.T) {
	needELF(t)
	foreign, foreignName := elf.EM_AARCH64, "arm64"
	if runtime.GOARCH == "arm64" {
		foreign, foreignName = elf.EM_X86_64, "amd64"
	}
	real := onePython(t)
	whole, err := os.ReadFile(real.Library)
	if err != nil {
		t.Fatal(err)
	}
	const name = "libpython3.12.so.1.0"
	for _, test := range []struct{ name, path, want string }{
		{"missing", "/no/such/" + name, "does not exist"},
		{"empty", writeFile(t, name, "", 0o755), "is not an ELF file: it starts with nothing (the file is empty)"},
		{"text", writeFile(t, name, "INPUT ( libpython3.12.a )\n", 0o755), "is not an ELF file: it starts with \"INPUT"},
		{"static library", writeFile(t, "libpython3.12.a", "!<arch>\nwhatever", 0o644), "is a static library"},
		{"Mach-O", writeFile(t, "libpython3.12.dylib", "\xcf\xfa\xed\xfe and so on", 0o755), "is a Mach-O file, but this system (linux) loads an ELF file"},
		{"other architecture", writeFile(t, name, elfHeader(foreign), 0o755), "is built for " + foreignName + ", but this program runs on " + runtime.GOARCH},
		{"unknown architecture", writeFile(t, name, elfHeader(elf.EM_SPARCV9), 0o755), "is built for EM_SPARCV9, but this program runs on " + runtime.GOARCH},
		{"header only", writeFile(t, name, elfHeader(nativeMachine(t)), 0o755), "does not export Py_GetVersion"},
		{"cut in the header", writeFile(t, name, elfHeader(nativeMachine(t))[:30], 0o755), "is damaged or cut short"},
		{"cut in the middle", writeFile(t, name, string(whole[:len(whole)/2]), 0o755), "is damaged or cut short"},
		{"cut by its last page", writeFile(t, name, string(whole[:len(whole)-4096]), 0o755), "is damaged or cut short"},
		{"without a home", writeFile(t, name, string(whole), 0o755), "has no standard library: lib/python3."},
		{"a program named as a library", linkTo(t, self(t), name), "is a program, not a shared library"},
		{"interpreter of another architecture", writeFile(t, "python3", elfHeader(foreign), 0o755), "is built for " + foreignName},
	} {
		t.Run(test.name, func(t *testing.T) {
			p, err := Find(t.Context(), Options{Python: test.path})
			checkError(t, p, err, test.want)
		})
	}
}

// The test binary is no Python and, on every system, a program.
func self(t *testing.T) string {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return exe
}

func linkTo(t *testing.T, target, name string) string {
	t.Helper()
	link := filepath.Join(t.TempDir(), name)
	if err := os.Symlink(target, link); err != nil {
		t.Fatal(err)
	}
	return link
}

func nativeMachine(t *testing.T) elf.Machine {
	t.Helper()
	for machine, arch := range elfMachines {
		if arch == runtime.GOARCH {
			return machine
		}
	}
	t.Fatalf("no ELF machine is known for %s", runtime.GOARCH)
	return 0
}

// Old versions are told by SONAME or file name, which is all they say (Py_Version came with 3.11).
func TestOldLibraryByItsName(t *testing.T) {
	for _, test := range []struct {
		name         string
		major, minor int
		free         bool
	}{
		{"libpython3.8.so.1.0", 3, 8, false},
		{"libpython3.6m.so.1.0", 3, 6, false},
		{"libpython2.7.so.1.0", 2, 7, false},
		{"libpython3.13t.so.1.0", 3, 13, true},
		{"libpython3.14d.so", 3, 14, false},
		{"libpython3.12.dylib", 3, 12, false},
		{"libpython3.so", 0, 0, false},
		{"python312.dll", 0, 0, false},
	} {
		b := binaryNamed(test.name)
		if b.major != test.major || b.minor != test.minor || b.freeThreaded != test.free {
			t.Errorf("%s: got %d.%d free-threaded %v, want %d.%d %v", test.name, b.major, b.minor, b.freeThreaded, test.major, test.minor, test.free)
		}
	}
	old := 0
	for _, p := range realPythons(t)[:1] {
		libs, _ := filepath.Glob(filepath.Join(filepath.Dir(p.Prefix), "*", "lib", "libpython3.8.so.1.0"))
		for _, lib := range libs {
			old++
			got, err := Find(t.Context(), Options{Python: lib})
			checkError(t, got, err, "is Python 3.8, but gilt needs 3.10 or newer")
		}
	}
	if old == 0 {
		t.Log("not tested: no real libpython3.8 lies next to the good Pythons")
	}
}

func binaryNamed(name string) binaryFile {
	b := binaryFile{path: "/x/" + name, micro: -1}
	b.versionFromName()
	return b
}

func TestVersionIsReadFromTheFile(t *testing.T) {
	needELF(t)
	for _, p := range realPythons(t) {
		bin, err := inspectLibrary(p.Library)
		if err != nil {
			t.Fatal(err)
		}
		want := p.Version
		if p.Minor == 10 {
			want = "3.10" // Py_Version came with 3.11
		}
		if got := bin.versionString(); got != want {
			t.Errorf("%s says %s, want %s", p.Library, got, want)
		}
	}
}

// A moved installation: LIBDIR, compiled into sysconfig, still names the old place.
func TestLibraryOfMovedPython(t *testing.T) {
	real := onePython(t)
	prefix := t.TempDir()
	name := filepath.Base(real.Library)
	mustMkdir(t, filepath.Join(prefix, "lib"))
	if err := os.Symlink(real.Library, filepath.Join(prefix, "lib", name)); err != nil {
		t.Fatal(err)
	}
	a, err := ask(t.Context(), real.Executable)
	if err != nil {
		t.Fatal(err)
	}
	a.BasePrefix, a.BaseExecPrefix, a.LibDir, a.MultiArch = prefix, prefix, "/where/it/was/built/lib", ""
	got, err := libraryOf("python3", a)
	if want := filepath.Join(prefix, "lib", name); err != nil || got != want {
		t.Errorf("got %s, %v; want %s", got, err, want)
	}

	t.Run("multiarch", func(t *testing.T) { // Debian: a static python3 and a library in lib/<triplet>
		prefix := t.TempDir()
		mustMkdir(t, filepath.Join(prefix, "lib", "x-linux-gnu"))
		want := filepath.Join(prefix, "lib", "x-linux-gnu", name)
		if err := os.Symlink(real.Library, want); err != nil {
			t.Fatal(err)
		}
		a := a
		a.BasePrefix, a.BaseExecPrefix, a.MultiArch = prefix, prefix, "x-linux-gnu"
		if got, err := libraryOf("python3", a); err != nil || got != want {
			t.Errorf("got %s, %v; want %s", got, err, want)
		}
	})
	t.Run("another version", func(t *testing.T) {
		a := a
		a.Info[1]++
		a.Version, a.InstSoname = "3.99.0", name
		_, err := libraryOf("/x/python3", a)
		checkError(t, Python{}, err, "is the library of Python "+a.shortVersionOf(t, real)+", but the interpreter /x/python3 is 3.99.0")
	})
}

func (a answer) shortVersionOf(t *testing.T, p Python) string {
	t.Helper()
	bin, err := inspectLibrary(p.Library)
	if err != nil {
		t.Fatal(err)
	}
	return bin.versionString()
}

func mustMkdir(t *testing.T, dir string) {
	t.Helper()
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
}

// A library with a standard library but no interpreter beside it is enough; Home then says where.
func TestLibraryWithoutInterpreter(t *testing.T) {
	real := onePython(t)
	prefix := t.TempDir()
	version := strings.Join(strings.SplitN(real.Version, ".", 3)[:2], ".")
	mustMkdir(t, filepath.Join(prefix, "lib", "python"+version, "encodings"))
	if err := os.WriteFile(filepath.Join(prefix, "lib", "python"+version, "encodings", "__init__.py"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	library := filepath.Join(prefix, "lib", filepath.Base(real.Library))
	copyFile(t, library, real.Library)

	p, err := Find(t.Context(), Options{Python: library})
	if err != nil {
		t.Fatal(err)
	}
	if p.Library != library || p.Home != prefix || p.Executable != "" || p.Prefix != prefix || p.Minor != real.Minor {
		t.Errorf("got %+v, want home %s and no executable", p, prefix)
	}
	byDir, err := Find(t.Context(), Options{Python: prefix})
	if err != nil || byDir != p {
		t.Errorf("by its directory: %+v, %v; want %+v", byDir, err, p)
	}

	t.Run("the one beside it is broken", func(t *testing.T) {
		mustMkdir(t, filepath.Join(prefix, "bin"))
		if err := os.WriteFile(filepath.Join(prefix, "bin", "python3"), []byte("#!/bin/sh\nexit 1\n"), 0o755); err != nil {
			t.Fatal(err)
		}
		got, err := Find(t.Context(), Options{Python: library})
		if err != nil || got != p {
			t.Errorf("got %+v, %v; want the library alone: %+v", got, err, p)
		}
	})
}

func copyFile(t *testing.T, to, from string) {
	t.Helper()
	in, err := os.Open(from)
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_CREATE|os.O_WRONLY, 0o755)
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	if _, err := io.Copy(out, in); err != nil {
		t.Fatal(err)
	}
}

func TestStubOfTheStableABI(t *testing.T) {
	real := onePython(t)
	stub := filepath.Join(filepath.Dir(real.Library), "libpython3.so")
	if !isFile(stub) {
		t.Skip("no libpython3.so next to " + real.Library)
	}
	p, err := Find(t.Context(), Options{Python: stub})
	if err != nil || !sameFile(p.Library, real.Library) {
		t.Errorf("got %+v, %v; want the libpython behind the stub, %s", p, err, real.Library)
	}
}

// Whatever the bytes are, inspecting them is an error or an answer, never a panic.
func FuzzInspect(f *testing.F) {
	f.Add([]byte(elfHeader(elf.EM_X86_64)))
	f.Add([]byte("\xca\xfe\xba\xbe\x00\x00\x00\x01"))
	f.Fuzz(func(t *testing.T, data []byte) {
		path := filepath.Join(t.TempDir(), "libpython3.12.so")
		if err := os.WriteFile(path, data, 0o755); err != nil {
			t.Fatal(err)
		}
		_, _ = inspectLibrary(path)
	})
}

func BenchmarkInspectLibrary(b *testing.B) {
	p, err := Find(b.Context(), Options{Python: "python3"})
	if err != nil {
		b.Skip("python3 on PATH cannot be used: ", err)
	}
	for b.Loop() {
		if _, err := inspectLibrary(p.Library); err != nil {
			b.Fatal(err)
		}
	}
}
