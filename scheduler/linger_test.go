package scheduler

import (
	"math"
	"testing"
)

// Nobody lingers at a lane that is free, that others wait for, or that must be asked for under the lock.
func TestNobodyLingersInVain(t *testing.T) {
	l := &lane{}
	l.luck.Store(mostLuck)
	for name, w := range map[string]word{"free": 0, "somebody waits": flagHeld | flagWaiting, "slow": flagHeld | flagSlow, "guarded": flagHeld | flagGuard, "called": flagHeld | flagCall} {
		l.state.Store(uint64(w))
		if l.linger(math.MaxInt64) {
			t.Error(name)
		}
	}
	l.state.Store(uint64(flagHeld))
	if l.linger(0) {
		t.Error("with one processor")
	}
	l.lingers.Store(true) // somebody else does
	if l.linger(math.MaxInt64 / 2) {
		t.Error("a second one lingered")
	}
	if l.luck.Load() != mostLuck {
		t.Errorf("luck %d", l.luck.Load())
	}
}

// Where lingering is in vain it is tried seldom, and again and again where it is of use.
func TestLingeringLearns(t *testing.T) {
	l := &lane{}
	l.luck.Store(mostLuck)
	l.state.Store(uint64(flagHeld))
	for range mostLuck {
		if l.linger(1) {
			t.Fatal("the lane was held")
		}
	}
	if n := l.luck.Load(); n != 0 {
		t.Fatalf("luck %d after %d in vain", n, mostLuck)
	}
	for i := range 3 * tryLuck {
		l.linger(1)
		if n, want := l.luck.Load(), -int32(i+1)%tryLuck; n != want {
			t.Fatalf("luck %d after %d more, want %d", n, i+1, want)
		}
	}
	for range tryLuck - 1 { // the next is a try
		l.linger(1)
	}
	freed := make(chan struct{})
	go func() {
		for !l.lingers.Load() {
		}
		l.clear(flagHeld)
		close(freed)
	}()
	if !l.linger(math.MaxInt64 / 2) {
		t.Error("the lane became free, and who lingered has not seen that")
	}
	if <-freed; l.luck.Load() != 2 || l.lingers.Load() {
		t.Errorf("luck %d, somebody lingers %v", l.luck.Load(), l.lingers.Load())
	}
}
