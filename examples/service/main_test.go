package main

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"gilt"
	"gilt/internal/pytest"
)

// A process can start only one Python. The tests of the handler share this process's, in which one task
// may be inside Python and one may wait; the tests of the program run it in a process of its own: this
// test binary, which is then main.
func TestMain(m *testing.M) {
	if os.Getenv("SERVICE_TEST_MAIN") != "" {
		main()
	}
	pytest.Only(pytest.Children{"refuse": refuse})
	code, err := 1, error(nil)
	if shared, err = openPython(); err == nil {
		code = m.Run()
		err = closePython(shared)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "the tests' Python:", err)
		code = 1
	}
	os.Exit(code)
}

var shared *gilt.Runtime

// faults is a module whose function does not score: it does what features["do"] says.
const faults = `
import builtins, os

class Refused(ValueError): pass

def recurse(): recurse()

def score(features, ms):
    match features["do"]:
        case "hold":  # says that it runs, and waits to be let go
            os.write(int(features["began"]), b"x")
            os.read(int(features["end"]), 1)
            return 0.5
        case "give text": return "secret"
        case "give nan": return float("nan")
        case "recurse": recurse()
        case "exit": raise SystemExit(3)
        case "refuse": raise Refused("low")
        case "fail for a ValueError": raise RuntimeError("secret") from ValueError("secret")
        case name: raise getattr(builtins, name)("low" if name != "RuntimeError" else "secret")
`

// modules is where this process's Python finds service.py and faults.py.
var modules string

func openPython() (rt *gilt.Runtime, err error) {
	if modules, err = unpackModule(); err != nil {
		return nil, err
	}
	if err = os.WriteFile(filepath.Join(modules, "faults.py"), []byte(faults), 0o600); err != nil {
		return nil, err
	}
	return gilt.Open(context.Background(), gilt.Config{Path: []string{modules}, MaxThreads: 1, MaxQueued: 1})
}

func closePython(rt *gilt.Runtime) error {
	defer os.RemoveAll(modules)
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	return rt.Shutdown(ctx)
}

// fixture is the handler over a function of Python's, and what it logs.
type fixture struct {
	http.Handler
	admin   http.Handler
	service *service
	log     lockedBuffer
}

func newFixture(t testing.TB, function string, deadline time.Duration) *fixture {
	t.Helper()
	f := new(fixture)
	s, err := newService(t.Context(), shared, function, deadline, slog.New(slog.NewTextHandler(&f.log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	f.Handler, f.admin, f.service = s.handler(), s.admin(), s
	return f
}

// serve gives h's answer to one request; tenant "" sends none.
func serve(ctx context.Context, h http.Handler, method, path, tenant, body string) *httptest.ResponseRecorder {
	r := httptest.NewRequestWithContext(ctx, method, path, strings.NewReader(body))
	if tenant != "" {
		r.Header.Set("X-Tenant", tenant)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

// score posts body to /score for the tenant acme.
func (f *fixture) score(ctx context.Context, body string) *httptest.ResponseRecorder {
	return serve(ctx, f, http.MethodPost, "/score", "acme", body)
}

// lockedBuffer is a log that goroutines share.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}
