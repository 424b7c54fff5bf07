package main

import (
	"encoding/json"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// The list names every Go module that is linked, on each platform, with its version, and none that is not.
func TestLicensesNameWhatIsLinked(t *testing.T) {
	t.Parallel()
	want := map[string]bool{}
	for _, system := range []string{"linux", "darwin"} {
		cmd := exec.CommandContext(t.Context(), "go", "list", "-deps", "-f", "{{with .Module}}{{if not .Main}}{{.Path}} {{.Version}}{{end}}{{end}}", ".")
		cmd.Env = append(os.Environ(), "GOOS="+system, "CGO_ENABLED=0")
		out, err := cmd.Output()
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(out)) {
			if line = strings.TrimSpace(line); line != "" {
				want[line] = true
			}
		}
	}
	for _, l := range licenses() {
		if l.License == "" || l.Where == "" {
			t.Errorf("%+v is not whole", l)
		}
		if l.Of != "Go modules" {
			continue
		}
		if name := l.Name + " " + l.Version; !want[name] {
			t.Errorf("%s is listed and not linked", name)
		} else {
			delete(want, name)
		}
	}
	for name := range want {
		t.Errorf("%s is linked and not listed: add it to licenses.txt", name)
	}
}

// The bundled Python has the libraries of the list, in the versions that it says.
func TestLicensesOfTheBundledPython(t *testing.T) {
	t.Parallel()
	got := run(t, setting{}, "run", "--python", "bundled", "-c", `
import json, ssl, zlib, sqlite3, pyexpat, decimal, sys
from compression import zstd
print(json.dumps({"CPython": sys.version.split()[0], "OpenSSL": ssl.OPENSSL_VERSION.split()[1], "zlib": zlib.ZLIB_RUNTIME_VERSION, "SQLite": sqlite3.sqlite_version,
    "Expat": pyexpat.EXPAT_VERSION.removeprefix("expat_"), "mpdecimal": decimal.__libmpdec_version__, "Zstandard": zstd.zstd_version}))`)
	var versions map[string]string
	if err := json.Unmarshal([]byte(got.stdout), &versions); err != nil {
		t.Fatal(err, got.stderr)
	}
	for _, l := range licenses() {
		if v := versions[l.Name]; v != "" && v != l.Version {
			t.Errorf("%s is listed as %s and is %s", l.Name, l.Version, v)
		}
		delete(versions, l.Name)
	}
	if len(versions) > 0 {
		t.Errorf("not listed: %v", versions)
	}
	var listed []linked
	if got := run(t, setting{}, "licenses", "--json"); got.code != 0 || json.Unmarshal([]byte(got.stdout), &listed) != nil || len(listed) != len(licenses()) {
		t.Errorf("%d %s%s", got.code, got.stdout, got.stderr)
	}
	if got := run(t, setting{}, "licenses"); got.code != 0 || !strings.Contains(got.stdout, "OpenSSL") || !strings.Contains(got.stdout, "github.com/spf13/cobra") {
		t.Errorf("%d %s%s", got.code, got.stdout, got.stderr)
	}
}
