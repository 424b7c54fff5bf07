package handles_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"gilt"
	"gilt/gil"
	py "gilt/handles"
	"gilt/internal/pytest"
)

func TestExceptionGroup(t *testing.T) {
	if pytest.Minor(t) < 11 {
		t.Skip("exception groups came with CPython 3.11")
	}
	pytest.Do(t, func(tok *gil.Token) {
		err := py.Run(tok, "raise ExceptionGroup('several', [ValueError('v'), ExceptionGroup('inner', [FileNotFoundError(2, 'gone')])])")
		for _, class := range []py.ExceptionClass{"builtins.ExceptionGroup", py.ValueError, py.FileNotFoundError, py.OSError} {
			if !errors.Is(err, class) {
				t.Errorf("%v is no %v", err, class)
			}
		}
		if errors.Is(err, py.KeyError) {
			t.Error("it is a KeyError")
		}
		var e *py.Error
		if !errors.As(err, &e) || len(e.Group) != 2 || e.Group[1].Group[0].Message != "[Errno 2] gone" {
			t.Fatalf("%+v", err)
		}
		if text := e.FullText(tok); !strings.Contains(text, "| ValueError: v") {
			t.Error(text)
		}
		// However large, what is captured is bounded, and reading it ends.
		err = py.Run(tok, "g = ValueError('leaf')\nfor i in range(20): g = ExceptionGroup('g', [g, g, g])\nraise g")
		if !errors.Is(err, py.Exception) {
			t.Error(err)
		}
	})
}

func TestFullTextIsPythonsOwn(t *testing.T) {
	pytest.Do(t, func(tok *gil.Token) {
		src := "import traceback\ndef f(n):\n    if n: f(n - 1)\n    raise ValueError('deep')\ntry: f(20)\nexcept ValueError as e: want, kept = traceback.format_exc(), e\n"
		ns, err := py.NewDict(tok, nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := py.Run(tok, src, ns); err != nil {
			t.Fatal(err)
		}
		want, err := py.EvalAs[string](tok, "want", ns)
		if err != nil {
			t.Fatal(err)
		}
		got := py.Run(tok, "raise kept", ns)
		var e *py.Error
		if !errors.As(got, &e) {
			t.Fatal(got)
		}
		// Raised again it has one frame more at the top; the rest is the same, byte for byte.
		_, text, _ := strings.Cut(e.FullText(tok), "in <module>\n")
		_, want, _ = strings.Cut(want, "in <module>\n")
		if text != want && !strings.HasSuffix(text, want) || !strings.Contains(text, "[Previous line repeated") {
			t.Errorf("%s\nand not\n%s", text, want)
		}
	})
}

func TestErrorsBothWays(t *testing.T) {
	pytest.Do(t, func(tok *gil.Token) {
		for src, want := range map[string]error{
			"raise EOFError":     io.EOF,
			"raise TimeoutError": context.DeadlineExceeded,
			"import concurrent.futures\nraise concurrent.futures.CancelledError": context.Canceled,
			"import asyncio\nraise asyncio.CancelledError":                       context.Canceled,
		} {
			if err := py.Run(tok, src); !errors.Is(err, want) {
				t.Errorf("%s gives %v, which is no %v", src, err, want)
			}
		}
		for _, want := range []error{io.EOF, context.DeadlineExceeded, context.Canceled} {
			ns := callable(t, tok, py.GoFunc{Func: func() error { return fmt.Errorf("in Go: %w", want) }})
			if _, err := py.Eval(tok, "f()", ns); !errors.Is(err, want) {
				t.Errorf("%v came back as %v", want, err)
			}
		}
	})
}

func TestExceptionClassesFromGo(t *testing.T) {
	pytest.AddModule(t, gilt.GoModule{
		Name: "gilt_exceptions", Exceptions: map[string]py.ExceptionClass{"NotFound": py.LookupError},
		Funcs: []gilt.GoFunc{{Name: "find", Func: func(s string) error { return py.Raise("gilt_exceptions.NotFound", s) }}},
	})
	pytest.Do(t, func(tok *gil.Token) {
		err := py.Run(tok, "import gilt_exceptions as g\ntry: g.find('a')\nexcept g.NotFound as e: assert e.args == ('a',) and isinstance(e, LookupError)\ng.find('b')")
		if !errors.Is(err, py.ExceptionClass("gilt_exceptions.NotFound")) || !errors.Is(err, py.LookupError) {
			t.Errorf("%+v", err)
		}
	})
	bad := gilt.GoModule{Name: "gilt_bad_exceptions", Exceptions: map[string]py.ExceptionClass{"X": "builtins.int"}}
	if err := pytest.Runtime().AddModule(context.Background(), bad); !errors.Is(err, py.TypeError) {
		t.Error(err)
	}
}
