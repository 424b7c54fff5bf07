package handles_test

import (
	"errors"
	"fmt"
	"testing"

	"gilt"
	py "gilt/handles"
	"gilt/internal/pytest"
)

// A class is found by each name under which it can be imported, and not by the others, without Python.
func TestErrorsIsTakesTheNamesOfImports(t *testing.T) {
	for _, c := range []struct {
		source  string
		is, not []py.ExceptionClass
	}{
		{"import json\njson.loads('{')", []py.ExceptionClass{"json.JSONDecodeError", "json.decoder.JSONDecodeError", "json:JSONDecodeError", py.ValueError}, []py.ExceptionClass{"json.Error", "json.decoder.ValueError"}},
		{"import socket\nraise TimeoutError", []py.ExceptionClass{"socket.timeout", py.TimeoutError, "socket.error", "os.error", "builtins.IOError", "builtins.EnvironmentError", py.OSError}, []py.ExceptionClass{"socket.gaierror", "json.JSONDecodeError"}},
		{"import queue\nqueue.Queue().get_nowait()", []py.ExceptionClass{"queue.Empty", "_queue.Empty"}, []py.ExceptionClass{"queue.Full"}},
		{"import asyncio\nraise asyncio.CancelledError", []py.ExceptionClass{"asyncio.CancelledError", "asyncio.exceptions.CancelledError"}, []py.ExceptionClass{py.Exception}},
		{"import asyncio\nraise asyncio.IncompleteReadError(b'', 1)", []py.ExceptionClass{"asyncio.IncompleteReadError", "asyncio.exceptions.IncompleteReadError", py.EOFError}, []py.ExceptionClass{"asyncio.CancelledError"}},
		{"import concurrent.futures\nraise concurrent.futures.TimeoutError", []py.ExceptionClass{"concurrent.futures.TimeoutError", "concurrent.futures._base.TimeoutError"}, []py.ExceptionClass{"concurrent.futures.CancelledError"}},
		{"import concurrent.futures\nraise concurrent.futures.CancelledError", []py.ExceptionClass{"concurrent.futures.CancelledError"}, []py.ExceptionClass{"concurrent.futures.TimeoutError"}},
		{"import zipfile\nraise zipfile.BadZipfile", []py.ExceptionClass{"zipfile.BadZipfile", "zipfile.BadZipFile", "zipfile.error"}, []py.ExceptionClass{"zipfile.LargeZipFile"}},
		{"import decimal\n1 / decimal.Decimal(0)", []py.ExceptionClass{"decimal.DivisionByZero", py.ZeroDivisionError, "decimal.DecimalException"}, []py.ExceptionClass{"decimal.Inexact"}},
	} {
		pytest.Do(t, func(tok *gilt.Token) {
			err := py.Run(tok, c.source)
			for _, class := range c.is {
				if !errors.Is(err, class) || !errors.Is(fmt.Errorf("wrapped: %w", err), class) {
					t.Errorf("%v is no %s", err, string(class))
				}
			}
			for _, class := range append(c.not, "no.such.module.Error", "nothing") {
				if errors.Is(err, class) {
					t.Errorf("%v is a %s", err, string(class))
				}
			}
		})
	}
}

// What is imported after a class was seen first counts too.
func TestErrorsIsTakesNamesOfLaterImports(t *testing.T) {
	pytest.Do(t, func(tok *gilt.Token) {
		for range 3 { // also when the test runs again
			raise := func() error { return py.Run(tok, "raise LookupError") }
			const late = py.ExceptionClass("gilt_late.Missing")
			if err := py.Run(tok, "import sys\nsys.modules.pop('gilt_late', None)"); err != nil {
				t.Fatal(err)
			}
			if errors.Is(raise(), late) {
				t.Error("it is known before the module is there")
			}
			must(py.ImportSource(tok, "gilt_late", "Missing = LookupError"))
			if err := raise(); !errors.Is(err, late) {
				t.Errorf("%v is no %s", err, string(late))
			}
		}
	})
}

// Odd modules are no obstacle.
func TestAliasesOfOddModules(t *testing.T) {
	pytest.Do(t, func(tok *gilt.Token) {
		ns := pytest.Module(t, tok, `
import sys, types
class Evil(types.ModuleType):
    def __getattribute__(self, name): raise SystemError(name)
class Meta(type):
    def __eq__(self, other): raise SystemError('eq')
    def __hash__(self): raise SystemError('hash')
    def __getattribute__(self, name):
        if name in ('__module__', '__qualname__'): raise SystemError(name)
        return type.__getattribute__(self, name)
class Odd(Exception, metaclass=Meta): pass
evil = Evil('evil')
d = object.__getattribute__(evil, '__dict__')
d['Odd'] = d[3] = d['x\ud800'] = Odd
extra = {'gilt_evil': evil, 'gilt_none': None, 'gilt_int': 3, 4: evil, 'gilt_many': types.ModuleType('many')}
for i in range(1000): setattr(extra['gilt_many'], f'E{i}', Odd)
def install(): sys.modules.update(extra)
def uninstall():
    for k in extra: del sys.modules[k]
def odd(): raise Odd('odd')
`)
		for range 2 {
			must(pytest.Get(t, ns, "install").Call())
			_, err := pytest.Get(t, ns, "odd").Call()
			var e *py.Error
			if !errors.As(err, &e) || e.Message != "odd" || !errors.Is(err, py.Exception) {
				t.Error(err)
			}
			must(pytest.Get(t, ns, "uninstall").Call())
			if err := py.Run(tok, "raise ValueError"); !errors.Is(err, py.ValueError) {
				t.Error(err)
			}
		}
	})
}
