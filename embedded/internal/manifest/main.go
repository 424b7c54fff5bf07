// Manifest writes the list of the bundled Python's files, with a hash of each, for every platform:
// manifest_GOOS_GOARCH.txt in package embedded. Its go:generate runs it, when the version of the module
// github.com/kluctl/go-embed-python changes; go.sum says that the module is the one that was published.
package main

import (
	"compress/gzip"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"log"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// entry is one of the module's files.json.
type entry struct {
	Name       string
	Perm       fs.FileMode
	Symlink    string
	Compressed bool
}

func main() {
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/kluctl/go-embed-python").Output()
	if err != nil {
		log.Fatal("the module's directory: ", err)
	}
	for _, platform := range []string{"linux-amd64", "linux-arm64", "darwin-amd64", "darwin-arm64"} {
		text, err := manifest(filepath.Join(strings.TrimSpace(string(out)), "python", "internal", "data", platform))
		if err == nil {
			err = os.WriteFile("manifest_"+strings.ReplaceAll(platform, "-", "_")+".txt", []byte(text), 0o644)
		}
		if err != nil {
			log.Fatal(platform, ": ", err)
		}
	}
}

// manifest has a line for each file: its hash, its permissions, its size, its name. A folder has - and 0. A link is what it
// points to, as the module unpacks it. Folders stand before what is in them.
func manifest(dir string) (string, error) {
	text, err := os.ReadFile(filepath.Join(dir, "files.json"))
	if err != nil {
		return "", err
	}
	var list struct{ Files []entry }
	if err := json.Unmarshal(text, &list); err != nil {
		return "", err
	}
	byName := map[string]entry{}
	for _, e := range list.Files {
		byName[e.Name] = e
	}
	var b strings.Builder
	for _, e := range list.Files {
		name := e.Name
		for e.Perm.Type() == fs.ModeSymlink {
			target := filepath.Join(filepath.Dir(e.Name), e.Symlink)
			var ok bool
			if e, ok = byName[target]; !ok {
				return "", fmt.Errorf("%s is a link to %s, which is not there", name, target)
			}
		}
		mode := e.Perm.Perm() &^ 0o022 // nobody else's to write
		if e.Perm.IsDir() {
			fmt.Fprintf(&b, "- %o 0 %s\n", mode, name)
			continue
		}
		hash, size, err := contents(filepath.Join(dir, e.Name), e.Compressed)
		if err != nil {
			return "", err
		}
		fmt.Fprintf(&b, "%x %o %d %s\n", hash, mode, size, name)
	}
	return b.String(), nil
}

func contents(path string, compressed bool) (hash []byte, size int64, err error) {
	if compressed {
		path += ".gz"
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, 0, err
	}
	defer file.Close()
	var r io.Reader = file
	if compressed {
		if r, err = gzip.NewReader(file); err != nil {
			return nil, 0, err
		}
	}
	h := sha256.New()
	size, err = io.Copy(h, r)
	return h.Sum(nil), size, err
}
