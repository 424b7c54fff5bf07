package gilt_test

import (
	"bytes"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"gilt"
	py "gilt/handles"
	"gilt/internal/pytest"
)

func TestTraceHandles(t *testing.T) { pytest.Child(t, "trace handles") }

// traceHandles leaves handles behind, and reads what Shutdown says of them.
func traceHandles() error {
	var log bytes.Buffer
	slog.SetDefault(slog.New(slog.NewTextHandler(&log, nil)))
	rt, err := gilt.Open(ctx, gilt.Config{TraceHandles: true})
	if err != nil {
		return err
	}
	var kept []py.Py
	keep := func(tok *gilt.Token, v any) error {
		b, err := py.From(tok, v)
		if err == nil {
			kept = append(kept, b.Unbind())
		}
		return err
	}
	err = rt.Do(ctx, func(tok *gilt.Token) error {
		for i := range 5 {
			if err := keep(tok, []int{i}); err != nil {
				return err
			}
		}
		return keep(tok, "text")
	})
	if err != nil {
		return err
	}
	if n := rt.Stats().Handles; n != 6 {
		return fmt.Errorf("%d handles are counted, not 6", n)
	}
	kept[0].Release()
	kept[0].Release()
	if n := rt.Stats().Handles; n != 5 {
		return fmt.Errorf("%d handles are counted, not 5", n)
	}
	var cell, set py.OnceCell // which are to keep what they have
	defer cell.Clear()
	defer set.Clear()
	err = rt.Do(ctx, func(tok *gilt.Token) error {
		if _, err := py.NewDateTime(tok, time.Now()); err != nil { // for which gilt keeps a module
			return err
		}
		set.Set(tok, py.None(tok))
		_, err := cell.GetOrInit(tok, func(tok *gilt.Token) (py.Bound, error) { return py.From(tok, 1) })
		return err
	})
	if err != nil {
		return err
	}
	if err := rt.Shutdown(ctx); err != nil {
		return err
	}
	said := strings.Split(strings.TrimSpace(log.String()), "\n")
	if len(said) != 1 {
		return fmt.Errorf("%d lines: %s", len(said), log.String())
	}
	for _, want := range []string{"were not released", "handles=5", `of="list, str"`, "trace_test.go:", "traceHandles"} {
		if !strings.Contains(said[0], want) {
			return fmt.Errorf("no %q in %s", want, said[0])
		}
	}
	return nil
}
