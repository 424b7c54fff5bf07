package discover

import (
	"debug/macho"
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"
)

// readMachO reads a macOS file; a universal one must hold this program's architecture.
func (b *binaryFile) readMachO(file *os.File) error {
	f, err := machoSlice(b.path, file)
	if err != nil {
		return err
	}
	b.shared = f.Type == macho.TypeDylib || f.Type == macho.TypeBundle
	b.needed, _ = f.ImportedLibraries()
	for i, path := range b.needed {
		b.needed[i] = filepath.Base(path)
	}
	if f.Symtab == nil {
		return nil
	}
	for _, s := range f.Symtab.Syms {
		if s.Name == "_Py_GetVersion" && s.Sect != 0 {
			b.python = true
		}
	}
	if m := frameworkPath.FindStringSubmatch(b.path); m != nil && b.python {
		b.major, _ = strconv.Atoi(m[1])
		b.minor, _ = strconv.Atoi(m[2])
		b.freeThreaded = m[3] != "" || strings.Contains(b.path, "PythonT.framework")
	}
	return nil
}

// A framework's library has no version in its name, but in its path.
var frameworkPath = regexp.MustCompile(`\.framework/Versions/(\d+)\.(\d+)(t?)/`)

func machoSlice(path string, file *os.File) (*macho.File, error) {
	fat, err := macho.NewFatFile(file)
	if errors.Is(err, macho.ErrNotFat) {
		f, err := macho.NewFile(file)
		if err != nil {
			return nil, errDamaged(path, err)
		}
		if have := machoArch(f.Cpu); have != runtime.GOARCH {
			return nil, errArch(path, have)
		}
		return f, nil
	}
	if err != nil {
		return nil, errDamaged(path, err)
	}
	var have []string
	for _, arch := range fat.Arches {
		if machoArch(arch.Cpu) == runtime.GOARCH {
			return arch.File, nil
		}
		have = append(have, machoArch(arch.Cpu))
	}
	return nil, errArch(path, strings.Join(have, " and "))
}

func machoArch(cpu macho.Cpu) string {
	switch cpu {
	case macho.CpuAmd64:
		return "amd64"
	case macho.CpuArm64:
		return "arm64"
	}
	return cpu.String()
}
