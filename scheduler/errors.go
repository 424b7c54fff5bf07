package scheduler

import (
	"context"
	"errors"
	"fmt"
	"time"
)

var (
	// ErrClosed is what waiters and later callers of Acquire get once the scheduler is closed.
	ErrClosed = errors.New("gilt/scheduler: closed: it grants nothing any more")

	// ErrSaturated is matched (errors.Is) by every *SaturatedError: a queue is full, or its wait too long: try later or elsewhere.
	ErrSaturated = errors.New("gilt/scheduler: saturated")

	// ErrLate is matched by every *LateError: work was refused, for it would have ended after its deadline.
	ErrLate = errors.New("gilt/scheduler: it would end after its deadline")

	// ErrTooManyClasses is matched by the error for one class more than Config.MaxClasses.
	ErrTooManyClasses = errors.New("gilt/scheduler: too many classes: name classes after tenants or endpoints, not after requests, or raise MaxClasses")

	// ErrClassBusy is matched by the error for a class that cannot be dropped.
	ErrClassBusy = errors.New("gilt/scheduler: the class is in use")

	// ErrConfig is matched by every error about a bad Config or ClassConfig.
	ErrConfig = errors.New("gilt/scheduler: bad configuration")

	// ErrNoLane is matched by the error for a lane number the scheduler does not have.
	ErrNoLane = errors.New("gilt/scheduler: no such lane")

	// ErrForeignClass is returned by Acquire for a class that another scheduler made.
	ErrForeignClass = errors.New("gilt/scheduler: the class belongs to another scheduler: get it from this one's Class method")
)

// SaturatedError says which queue was full, or, if Shed, that work was sent away after it had waited: see
// ClassConfig.TargetWait. It matches ErrSaturated.
type SaturatedError struct {
	Class  string // the class that asked, or its parent if that one's queue was full
	Queued int    // how many waited: of this class if PerClass, else over all classes
	Limit  int    // how many may; 0 if Shed
	// PerClass tells the class's own limit from the scheduler's.
	PerClass bool
	Shed     bool
	Waited   time.Duration // 0 unless Shed
	// RetryAfter is when to try again, for an HTTP Retry-After: how long those who wait will need to get their
	// turns, at the mean pace of the last 64 turns; not less than the time since the last of them, so that it
	// grows while a task keeps everybody; and if Shed not less than for how long nobody must have been shed. It
	// is 1 ms to 1 hour. It does not know who else comes: have clients add something random.
	RetryAfter time.Duration
}

func (e *SaturatedError) Error() string {
	if e.Shed {
		return fmt.Sprintf("gilt/scheduler: saturated: class %q: shed after %v, for its waits stay above TargetWait; %d of it are waiting: try again after %v",
			e.Class, e.Waited, e.Queued, e.RetryAfter)
	}
	who := "all classes together"
	if e.PerClass {
		who = "this class"
	}
	return fmt.Sprintf("gilt/scheduler: saturated: class %q: %d of %s are waiting, the limit is %d: try again after %v, or raise MaxQueued",
		e.Class, e.Queued, who, e.Limit, e.RetryAfter)
}

// Is makes errors.Is(err, ErrSaturated) true.
func (e *SaturatedError) Is(target error) bool { return target == ErrSaturated }

// LateError says that work was refused before its deadline, for it was expected to end later, and was interrupted then: others have its
// turn. It matches ErrLate, and context.DeadlineExceeded, as the error that the work would have given at its deadline.
//
// Refused is work that has to wait, with a deadline at which it would be interrupted, of a function of which several calls have ended:
// when it comes, if the work in front of it leaves too little, or when its turn has come, if less is left than 5/4 of
// Expected. It is not refused when nobody else could use its turn. Work whose Cancellation is Never is not, for it
// ends however late: its deadline is for its wait. Calls of less than 20 µs are not.
type LateError struct {
	Class  string
	Waited time.Duration // 0 if it was refused when it came
	Left   time.Duration // until the deadline
	Before time.Duration // what the work in front of it was expected to take; 0 unless it was refused when it came
	// Expected is how long it was expected to take from its turn to its end, beside others: as half of its function's last calls, if they
	// are alike, and as the quickest of them if one in ten takes less than half of that.
	Expected time.Duration
	// RetryAfter is when work with such a deadline is likely to find few enough in front of it, 1 ms at the least.
	RetryAfter time.Duration
}

func (e *LateError) Error() string {
	if e.Before > 0 {
		return fmt.Sprintf("gilt/scheduler: class %q: refused at once: %v are left until the deadline, the work in front takes some %v, and this some %v: try again after %v, or with a longer deadline",
			e.Class, e.Left, e.Before, e.Expected, e.RetryAfter)
	}
	return fmt.Sprintf("gilt/scheduler: class %q: refused after waiting %v: %v are left until the deadline, and it takes some %v: try again after %v, or with a longer deadline",
		e.Class, e.Waited, e.Left, e.Expected, e.RetryAfter)
}

// Is makes errors.Is true for ErrLate and for context.DeadlineExceeded.
func (e *LateError) Is(target error) bool {
	return target == ErrLate || target == context.DeadlineExceeded
}

// WaitError says that the context ended before the grant came. It wraps the context's error and its
// cause, so errors.Is works with context.Canceled, context.DeadlineExceeded and whatever the caller of
// context.WithCancelCause gave.
type WaitError struct {
	Class  string        // empty for a Drain
	Waited time.Duration // 0 when the context was done before the call
	Ahead  int           // waiters of the same class that were queued when this one came; for a Drain, what is left
	Lost   int           // tasks that are lost (Stats.Lost), if all of Config.MaxInFlight was taken when the wait ended; else 0
	Err    error         // ctx.Err()
	Cause  error         // context.Cause(ctx)
}

func (e *WaitError) Error() string {
	reason := e.Err.Error()
	if e.ownCause() {
		reason += ": " + e.Cause.Error()
	}
	if e.Class == "" {
		return fmt.Sprintf("gilt/scheduler: not drained after %v, %d still in flight or waiting: %s", e.Waited, e.Ahead, reason)
	}
	lost := ""
	if e.Lost > 0 {
		lost = fmt.Sprintf(", while all threads that may be inside Python are taken and %d of them are lost (Stats.Lost names them)", e.Lost)
	}
	return fmt.Sprintf("gilt/scheduler: class %q: gave up after waiting %v with %d ahead%s: %s", e.Class, e.Waited, e.Ahead, lost, reason)
}

// Unwrap returns the context's error and its cause.
func (e *WaitError) Unwrap() []error {
	if !e.ownCause() {
		return []error{e.Err}
	}
	return []error{e.Err, e.Cause}
}

// ownCause says whether whoever cancelled the context gave a cause of his own.
func (e *WaitError) ownCause() bool { return e.Cause != nil && !errors.Is(e.Err, e.Cause) }

func badConfig(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrConfig, fmt.Sprintf(format, args...))
}

// misuse ends a programming error: a grant given back twice would let two tasks believe they are alone.
func misuse(op string, lane int, class string) {
	panic(fmt.Sprintf("gilt/scheduler: %s of something not in flight (lane %d, class %q): it was given back already", op, lane, class))
}
