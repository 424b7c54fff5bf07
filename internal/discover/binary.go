package discover

import (
	"debug/elf"
	"debug/macho"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
)

// binaryFile is what an ELF or Mach-O file says about itself, read without loading it.
type binaryFile struct {
	path                string
	soname              string   // SONAME or Mach-O install name; may be ""
	needed              []string // libraries it needs
	shared              bool     // a library, not a program
	python              bool     // exports Py_GetVersion
	major, minor, micro int      // of a libpython; micro is -1 when the file does not say (3.10)
	suffix              string   // such as "rc1", for a version that is no release
	freeThreaded        bool
}

// The stub of the stable ABI, libpython3.so, has no code; it names the libpython to use.
type stubError struct{ target string }

func (e *stubError) Error() string { return "the library behind it is " + e.target }

// inspectLibrary checks that path is a libpython this process can load: a whole file, of this
// system's format and architecture, of a version that gilt runs on.
func inspectLibrary(path string) (binaryFile, error) {
	bin, err := inspect(path)
	if err != nil {
		return binaryFile{}, err
	}
	if !bin.shared {
		return binaryFile{}, &Error{What: "is a program, not a shared library", Path: path, Fix: fixLibrary}
	}
	if !bin.python {
		for _, needed := range bin.needed {
			target := filepath.Join(filepath.Dir(path), needed)
			if libraryName.MatchString(needed) && isFile(target) {
				return binaryFile{}, &Error{What: "is the stub of the stable ABI, not a whole libpython", Path: path, Fix: "name " + target, Err: &stubError{target}}
			}
		}
		return binaryFile{}, &Error{What: "is a shared library but not a libpython: it does not export Py_GetVersion", Path: path, Fix: fixLibrary}
	}
	if bin.major == 0 {
		return binaryFile{}, &Error{What: "does not say which Python it is: neither its name nor its SONAME has a version", Path: path, Fix: fixLibrary}
	}
	if tooOld(bin.major, bin.minor) {
		return binaryFile{}, errTooOld(path, bin.versionString())
	}
	return bin, nil
}

func (b binaryFile) versionString() string {
	s := fmt.Sprintf("%d.%d", b.major, b.minor)
	if b.micro >= 0 {
		s += fmt.Sprintf(".%d%s", b.micro, b.suffix)
	}
	return s
}

// inspect reads a program or a library and refuses what this process could not load or run.
func inspect(path string) (binaryFile, error) {
	file, err := os.Open(path)
	if err != nil {
		return binaryFile{}, &Error{What: "cannot be read", Path: path, Fix: fixChoice, Err: err}
	}
	defer file.Close()

	format := formatOf(file)
	if want := nativeFormat(); format != want {
		start := startOf(file)
		what := "is not " + want + ": it starts with " + start
		switch {
		case format != "":
			what = fmt.Sprintf("is %s, but this system (%s) loads %s", format, runtime.GOOS, want)
		case strings.HasPrefix(start, `"!<arch>`):
			what = "is a static library (an archive), which cannot be loaded at run time"
		}
		return binaryFile{}, &Error{What: what, Path: path, Fix: fixLibrary}
	}
	bin := binaryFile{path: path, micro: -1}
	if format == formatELF {
		err = bin.readELF(file)
	} else {
		err = bin.readMachO(file)
	}
	if err != nil {
		return binaryFile{}, err
	}
	bin.versionFromName()
	return bin, nil
}

const (
	formatELF   = "an ELF file"
	formatMachO = "a Mach-O file"
)

func nativeFormat() string {
	if runtime.GOOS == "darwin" || runtime.GOOS == "ios" {
		return formatMachO
	}
	return formatELF
}

// formatOf tells the format by its first four bytes, or returns "".
func formatOf(file io.ReaderAt) string {
	var magic [4]byte
	if _, err := file.ReadAt(magic[:], 0); err != nil {
		return ""
	}
	switch magic {
	case [4]byte{0x7f, 'E', 'L', 'F'}:
		return formatELF
	case [4]byte{0xcf, 0xfa, 0xed, 0xfe}, [4]byte{0xce, 0xfa, 0xed, 0xfe}, [4]byte{0xca, 0xfe, 0xba, 0xbe}:
		return formatMachO
	}
	return ""
}

func startOf(file io.ReaderAt) string {
	var start [16]byte
	n, _ := file.ReadAt(start[:], 0)
	if n == 0 {
		return "nothing (the file is empty)"
	}
	return strconv.Quote(string(start[:n]))
}

// scriptOrUnknown reports whether path is of no binary format.
func scriptOrUnknown(path string) bool {
	file, err := os.Open(path)
	if err != nil {
		return false
	}
	defer file.Close()
	return formatOf(file) == ""
}

// sharedObject reports whether path is a library by its contents.
func sharedObject(path string) bool {
	file, err := os.Open(path)
	if err != nil {
		return false
	}
	defer file.Close()
	switch formatOf(file) {
	case formatELF:
		f, err := elf.NewFile(file)
		return err == nil && isELFLibrary(f)
	case formatMachO:
		f, err := macho.NewFile(file)
		return err == nil && f.Type == macho.TypeDylib
	}
	return false
}

// isELFLibrary tells a library from a position-independent program. Some libraries name an ELF
// interpreter too (libc does), but no program has a SONAME.
func isELFLibrary(f *elf.File) bool {
	if f.Type != elf.ET_DYN {
		return false
	}
	if !slices.ContainsFunc(f.Progs, func(p *elf.Prog) bool { return p.Type == elf.PT_INTERP }) {
		return true
	}
	names, err := f.DynString(elf.DT_SONAME)
	return err == nil && len(names) > 0
}

func (b *binaryFile) readELF(file *os.File) error {
	f, err := elf.NewFile(file)
	if err != nil {
		return errDamaged(b.path, err)
	}
	if have, want := elfArch(f), runtime.GOARCH; have != want {
		return errArch(b.path, have)
	}
	info, err := file.Stat()
	if err != nil {
		return errDamaged(b.path, err)
	}
	for _, p := range f.Progs { // mapping past the end of a file ends the process with SIGBUS
		if p.Type == elf.PT_LOAD && p.Off+p.Filesz > uint64(info.Size()) {
			return errDamaged(b.path, io.ErrUnexpectedEOF)
		}
	}
	if b.shared = isELFLibrary(f); !b.shared {
		return nil
	}
	if names, err := f.DynString(elf.DT_SONAME); err == nil && len(names) > 0 {
		b.soname = names[0]
	}
	b.needed, _ = f.ImportedLibraries()
	symbols, err := f.DynamicSymbols()
	if err != nil && !errors.Is(err, elf.ErrNoSymbols) {
		return errDamaged(b.path, err)
	}
	for _, s := range symbols {
		if s.Section == elf.SHN_UNDEF {
			continue
		}
		switch s.Name {
		case "Py_GetVersion":
			b.python = true
		case "Py_Version":
			b.versionFromHex(elfWord(f, s.Value))
		}
	}
	return nil
}

// elfWord reads the word at a virtual address, or returns 0.
func elfWord(f *elf.File, addr uint64) uint64 {
	for _, p := range f.Progs {
		if p.Type != elf.PT_LOAD || addr < p.Vaddr || addr+8 > p.Vaddr+p.Filesz {
			continue
		}
		var word [8]byte
		if _, err := p.ReadAt(word[:], int64(addr-p.Vaddr)); err != nil {
			return 0
		}
		if f.Class == elf.ELFCLASS32 {
			return uint64(f.ByteOrder.Uint32(word[:4]))
		}
		return f.ByteOrder.Uint64(word[:])
	}
	return 0
}

// versionFromHex reads the constant Py_Version, which libpython exports since 3.11
// (https://docs.python.org/3/c-api/apiabiversion.html).
func (b *binaryFile) versionFromHex(hex uint64) {
	if hex>>24 == 0 || hex>>32 != 0 {
		return
	}
	b.major, b.minor, b.micro = int(hex>>24), int(hex>>16&0xff), int(hex>>8&0xff)
	if name, ok := map[uint64]string{0xa: "a", 0xb: "b", 0xc: "rc"}[hex>>4&0xf]; ok {
		b.suffix = name + strconv.Itoa(int(hex&0xf))
	}
}

// versionFromName reads what the SONAME, else the file name, says: libpython3.13t.so.1.0.
func (b *binaryFile) versionFromName() {
	for _, name := range []string{b.soname, filepath.Base(b.path)} {
		m := libraryName.FindStringSubmatch(filepath.Base(name))
		if m == nil || m[2] == "" {
			continue
		}
		b.freeThreaded = strings.Contains(m[3], "t")
		if b.major == 0 {
			b.major, _ = strconv.Atoi(m[1])
			b.minor, _ = strconv.Atoi(m[2])
		}
		return
	}
}

var elfMachines = map[elf.Machine]string{
	elf.EM_X86_64: "amd64", elf.EM_AARCH64: "arm64", elf.EM_386: "386", elf.EM_ARM: "arm",
	elf.EM_RISCV: "riscv64", elf.EM_S390: "s390x", elf.EM_LOONGARCH: "loong64",
}

// elfArch names a file's architecture as Go does.
func elfArch(f *elf.File) string {
	little := f.Data == elf.ELFDATA2LSB
	switch f.Machine {
	case elf.EM_PPC64:
		if little {
			return "ppc64le"
		}
		return "ppc64"
	case elf.EM_X86_64:
		if f.Class == elf.ELFCLASS32 {
			return "x32"
		}
	}
	if name, ok := elfMachines[f.Machine]; ok {
		return name
	}
	return f.Machine.String()
}

func errArch(path, have string) *Error {
	return &Error{
		What: fmt.Sprintf("is built for %s, but this program runs on %s", have, runtime.GOARCH),
		Path: path,
		Fix:  "name a Python built for " + runtime.GOARCH,
	}
}

func errDamaged(path string, err error) *Error {
	return &Error{What: "is damaged or cut short", Path: path, Fix: "install this Python again", Err: err}
}
