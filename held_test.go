package gilt_test

import (
	"testing"
	"time"

	"gilt"
	py "gilt/handles"
	"gilt/internal/pytest"
)

// Nobody waits for a turn, so the pacer rests, and a thread of Python's takes the GIL for moments: the task is charged
// for what it computed all the same.
func TestHeldBesideAThread(t *testing.T) {
	rt := pytest.Runtime()
	class, err := rt.Class("beside a thread")
	if err != nil {
		t.Fatal(err)
	}
	err = rt.Do(gilt.WithClass(ctx, class), func(tok *gilt.Token) error {
		return py.Run(tok, `
import threading, time

stop = threading.Event()

def tick():
    while not stop.wait(0.001):
        pass

ticks = threading.Thread(target=tick)
ticks.start()
end = time.thread_time() + 0.03
while time.thread_time() < end:
    pass
stop.set()
ticks.join()
`)
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range rt.Stats().Classes {
		if c.Name == "beside a thread" && c.Held < 30*time.Millisecond {
			t.Errorf("held %v of 30 ms", c.Held)
		}
	}
}

// A task that does nothing but short operations, none of which runs bytecode, gives the GIL up while others want it.
func TestShortOperationsLetOthersIn(t *testing.T) {
	rt := pytest.Runtime()
	done := make(chan error, 1)
	err := rt.Do(ctx, func(tok *gilt.Token) error {
		none := py.None(tok)
		p := none.Unbind()
		defer p.Release()
		ops := map[string]func(){
			"attribute": func() { _, _ = py.AttrAs[bool](none, "__doc__") },
			"bind":      func() { _ = py.Scope(tok, func() error { p.Bind(tok); return nil }) },
			"unbind":    func() { none.Unbind().Release() },
			"item":      func() { none.Is(none); _, _ = none.Hash() },
		}
		for name, op := range ops {
			go func() {
				done <- rt.Do(ctx, func(tok *gilt.Token) error { return py.Run(tok, "pass") })
			}()
			for began := time.Now(); ; op() {
				select {
				case err := <-done:
					if err != nil {
						return err
					}
				default:
					if time.Since(began) > 5*time.Second {
						t.Errorf("%s: 5 s of short operations kept another task out", name)
						//gilt:vet-ignore others are to get in between operations, not here
						<-done
					} else {
						continue
					}
				}
				break
			}
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}
