package main

import (
	"context"
	_ "embed"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"gilt"
	py "gilt/handles"
)

//go:embed service.py
var servicePy []byte

// unpackModule puts the Python module in a directory of its own, for the caller to remove.
func unpackModule() (string, error) {
	dir, err := os.MkdirTemp("", "service")
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, "service.py"), servicePy, 0o600)
	}
	if err != nil {
		_ = os.RemoveAll(dir)
		return "", fmt.Errorf("no room for the Python module: %w", err)
	}
	return dir, nil
}

// service answers requests by calling Python.
type service struct {
	rt       *gilt.Runtime
	score    *gilt.Func[py.Args, float64] // of the features and the milliseconds to compute for
	deadline time.Duration
	log      *slog.Logger
	tenants  *tenants

	healthClass *gilt.Class
}

func newService(ctx context.Context, rt *gilt.Runtime, function string, deadline time.Duration, log *slog.Logger) (*service, error) {
	score, err := gilt.Lookup[py.Args, float64](ctx, rt, function)
	if err != nil {
		return nil, err
	}
	// The classes that the service itself needs come first: however many tenants come, these have theirs.
	health, err := rt.Class("/healthz") // no tenant has this name
	if err != nil {
		return nil, err
	}
	return &service{rt: rt, score: score, deadline: deadline, log: log, tenants: newTenants(maxTenants), healthClass: health}, nil
}

// call is the whole use of Python: the tenant's class, the deadline, the call. When the deadline passes
// while the request waits, the call returns at once and Python never sees it; when Python has begun, the
// call returns when Python does.
func (s *service) call(ctx context.Context, tenant string, in scoreRequest) (float64, error) {
	class, err := s.rt.Class(s.tenants.class(tenant))
	if err != nil {
		return 0, err
	}
	ctx, cancel := context.WithTimeout(gilt.WithClass(ctx, class), s.deadline)
	defer cancel()
	return s.score.Call(ctx, py.Args{in.Features, in.MS})
}
