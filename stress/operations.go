package stress

import (
	"context"
	"fmt"
	"math/rand/v2"
	"reflect"
	"runtime"

	"gilt"
)

// actor is a goroutine that does one operation after the other.
type actor struct {
	*run
	random *rand.Rand
	ctx    context.Context // of the operation: with a class, or without
}

// operation gives an error when it did not end as it must. weight is how often it is chosen.
type operation struct {
	name   string
	weight int
	do     func(*actor) error
}

var operations = []operation{
	{"call each kind", 40, (*actor).callKinds},
	{"call for long", 4, (*actor).callLong},
	{"call that raises", 10, (*actor).callRaises},
	{"call without end", 1, (*actor).callDeep},
	{"sleep", 4, (*actor).sleep},
	{"hash", 4, (*actor).hash},
	{"context of its own", 10, (*actor).contextVar},
	{"Do and convert", 10, (*actor).convert},
	{"Do nested", 10, (*actor).nested},
	{"AllowThreads", 10, (*actor).allowThreads},
	{"iterate", 5, (*actor).iterate},
	{"Submit", 20, (*actor).submit},
	{"Submit many", 2, (*actor).submitMany},
	{"Submit and panic", 3, (*actor).submitPanics},
	{"Submit and Goexit", 1, (*actor).submitGoexit},
	{"panic in Do", 5, (*actor).panicInDo},
	{"panic in AllowThreads", 5, (*actor).panicInAllow},
	{"Goexit in Do", 3, (*actor).goexitInDo},
	{"Goexit in AllowThreads", 3, (*actor).goexitInAllow},
	{"context ends", 10, (*actor).contextEnds},
	{"context ends for Submit", 5, (*actor).contextEndsSubmit},
	{"interrupt a loop", 3, (*actor).interruptLoop},
	{"interrupt a sleep", 3, (*actor).interruptSleep},
	{"interrupt with locks", 5, (*actor).interruptLocks},
	{"interrupt a conversion", 2, (*actor).interruptConversion},
	{"fork", 1, (*actor).fork},
	{"greenlets", 3, (*actor).greenlets},
	{"make a handle", 20, (*actor).makeHandle},
	{"use a handle", 20, (*actor).useHandle},
	{"cycle", 5, (*actor).cycle},
	{"misuse", 5, (*actor).misuse},
	{"Pin", 2, (*actor).pin},
	{"locked goroutine exits", 2, (*actor).lockedExit},
	{"Python threads", 1, (*actor).pythonThreads},
	{"Python thread joined in AllowThreads", 1, (*actor).pythonThread},
}

// choose picks an operation, and for whom it is.
func (a *actor) choose() int {
	total := 0
	for _, op := range operations {
		total += a.weight(op)
	}
	a.ctx = a.run.ctx
	if a.random.IntN(2) == 0 {
		a.ctx = gilt.WithClass(a.ctx, a.tenant[a.random.IntN(len(a.tenant))])
	}
	n := a.random.IntN(total)
	for i, op := range operations {
		if n -= a.weight(op); n < 0 {
			return i
		}
	}
	return 0
}

// weight is how often an operation is chosen in this run.
func (r *run) weight(op operation) int {
	if r.opt.Only != nil && !r.opt.Only.MatchString(op.name) || r.greenlets && op.name == "fork" {
		return 0
	}
	return op.weight
}

// try runs an operation; a panic that it did not expect is its error.
func (a *actor) try(op operation) (err error) {
	defer func() {
		if v := recover(); v != nil {
			stack := make([]byte, 1<<14)
			err = fmt.Errorf("panic: %v\n%s", v, stack[:runtime.Stack(stack, false)])
		}
	}()
	return op.do(a)
}

func (a *actor) do(f func(*gilt.Token) error) error { return a.rt.Do(a.ctx, f) }

// same is an error when a result is not what was sent.
func same[T any](got, want T, err error) error {
	if err == nil && !reflect.DeepEqual(got, want) {
		err = fmt.Errorf("got %v, want %v", got, want)
	}
	return err
}

// panics gives what f panics with.
func panics(f func() error) (value any, err error) {
	defer func() { value = gilt.Recovered(recover()) }()
	return nil, f()
}

func expectPanic(want any, f func() error) error {
	got, err := panics(f)
	if err != nil {
		return err
	}
	if got != want {
		return fmt.Errorf("panic with %v, want %v", got, want)
	}
	return nil
}

// apart runs f in a goroutine of its own and waits for its end, which may be a Goexit.
func apart(f func()) (returned bool) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		f()
		returned = true
	}()
	<-done
	return returned
}
