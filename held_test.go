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
