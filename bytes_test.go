package gilt_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"gilt"
	py "gilt/handles"
	"gilt/internal/pytest"
)

// Bytes that are not UTF-8 in Config.Path, RunMain, ImportFile and names of files that Python gives, in each mode.
func TestBytes(t *testing.T) {
	modes := []gilt.Mode{gilt.GIL}
	if pytest.Minor(t) >= 12 {
		modes = append(modes, gilt.OwnGIL)
	}
	for _, mode := range modes {
		for _, locale := range []string{"C", "C.UTF-8"} {
			pytest.Child(t, "bytes", "GILT_TEST_MODE="+string(mode), "LC_ALL="+locale)
		}
	}
}

// shows notes what a program has, for whoever asks later.
const shows = "import sys, os\nfound = ascii([__name__, sys.argv, sys.path[0], os.getcwd(), globals().get('__file__')])\nsys.modules['found'] = type(sys)('found'); sys.modules['found'].text = found\n"

func bytesCross() error {
	top, err := os.MkdirTemp("", "gilt")
	if err != nil {
		return err
	}
	defer os.RemoveAll(top)
	dir := filepath.Join(top, "d\xff\xc3")
	escaped := `d\udcff\udcc3`
	if err := errors.Join(os.Mkdir(dir, 0o700), os.WriteFile(filepath.Join(dir, "gilt_bytes.py"), []byte(shows), 0o600), os.WriteFile(filepath.Join(dir, "f\xe9.py"), []byte("X = 1\n"), 0o600)); err != nil {
		return err
	}
	rt, err := gilt.Open(ctx, gilt.Config{Path: []string{dir, top}, Mode: gilt.Mode(os.Getenv("GILT_TEST_MODE")), Interpreters: 1})
	if err != nil {
		return err
	}
	err = rt.Do(ctx, func(tok *gilt.Token) error {
		if v, err := py.EvalAs[string](tok, "ascii([p.rpartition('/')[2] for p in __import__('sys').path[:1]])"); v != "['"+escaped+"']" || err != nil {
			return fmt.Errorf("sys.path[0] is %s: %w", v, err)
		}
		for _, name := range []string{"gilt_bytes.py", "f\xe9.py"} {
			m, err := py.ImportFile(tok, "gilt_bytes_file", filepath.Join(dir, name), py.Replace)
			if err != nil {
				return err
			}
			module, err := py.Cast[py.Module](m)
			if err != nil {
				return err
			}
			if file, ok, err := module.File(); file != filepath.Join(dir, name) || !ok || err != nil {
				return fmt.Errorf("Module.File is %q, %v: %w", file, ok, err)
			}
		}
		for _, path := range []string{"", "é", "a\xffb", "\xed\xa0\x80", "\xf5\xc0\x80"} {
			b, err := py.FSDecode(tok, path)
			if err != nil {
				return err
			}
			if back, err := py.FSEncode(b); back != path || err != nil {
				return fmt.Errorf("FSEncode(FSDecode(%q)) is %q: %w", path, back, err)
			}
			ns, err := py.NewDict(tok, map[string]any{"text": b, "path": []byte(path)})
			if err != nil {
				return err
			}
			if same, err := py.EvalAs[bool](tok, "__import__('os').fsdecode(path) == text", ns); !same || err != nil {
				return fmt.Errorf("FSDecode(%q) is not os.fsdecode's: %w", path, err)
			}
		}
		return nil
	})
	if err == nil {
		err = programsWithBytes(rt, top, dir, escaped)
	}
	return errors.Join(err, rt.Shutdown(ctx))
}

func programsWithBytes(rt *gilt.Runtime, top, dir, escaped string) error {
	for _, c := range []struct {
		script gilt.Script
		cwd    string
		want   string
	}{
		{gilt.Script{Path: dir + "/gilt_bytes.py", Args: []string{"a\xff"}}, "/", fmt.Sprintf(`['__main__', ['%s/%[2]s/gilt_bytes.py', 'a\udcff'], '%[1]s/%[2]s', '/', '%[1]s/%[2]s/gilt_bytes.py']`, top, escaped)},
		{gilt.Script{Path: "gilt_bytes.py"}, dir, fmt.Sprintf(`['__main__', ['gilt_bytes.py'], '%s/%[2]s', '%[1]s/%[2]s', '%[1]s/%[2]s/gilt_bytes.py']`, top, escaped)},
		{gilt.Script{Module: "gilt_bytes", Args: []string{"\xff"}}, dir, fmt.Sprintf(`['__main__', ['%s/%[2]s/gilt_bytes.py', '\udcff'], '%[1]s/%[2]s', '%[1]s/%[2]s', '%[1]s/%[2]s/gilt_bytes.py']`, top, escaped)},
		{gilt.Script{Code: shows, Args: []string{"\xfe"}}, "/", `['__main__', ['-c', '\udcfe'], '', '/', None]`},
	} {
		// What fails before, and what breaks sys, does not fail the next.
		for _, bad := range []gilt.Script{{Module: "no\xff"}, {Code: "print('\xff')"}, {Code: "import sys; sys.argv = sys.orig_argv = (); raise KeyError"}, {Code: "import sys; del sys.argv; sys.path = tuple(sys.path); raise KeyError"}} {
			if err := rt.RunMain(ctx, bad); err == nil {
				return fmt.Errorf("%+v is no error", bad)
			}
		}
		if err := os.Chdir(c.cwd); err != nil {
			return err
		}
		if err := rt.RunMain(ctx, c.script); err != nil {
			return fmt.Errorf("%+v: %w", c.script, err)
		}
		if err := rt.OnMain(ctx, func(tok *gilt.Token) error {
			if got, err := py.EvalAs[string](tok, "__import__('found').text"); got != c.want || err != nil {
				return fmt.Errorf("%+v: %s, want %s: %w", c.script, got, c.want, err)
			}
			return nil
		}); err != nil {
			return err
		}
	}
	gone := filepath.Join(top, "gone\xff")
	if err := errors.Join(os.Mkdir(gone, 0o700), os.Chdir(gone), os.Remove(gone)); err != nil {
		return err
	}
	if err := rt.RunMain(ctx, gilt.Script{Module: "this"}); err == nil {
		return errors.New("a working directory that has gone is no error")
	}
	return errors.Join(os.Chdir("/"), rt.RunMain(ctx, gilt.Script{Code: "pass"}))
}
