package gilt

import (
	"context"

	"gilt/gil"
	"gilt/scheduler"
)

// Cancellation says when a context interrupts Python code that runs: by an exception gilt.Cancelled, derived from
// BaseException, in exactly that task, again and again until it ends. Work that waits for its turn leaves the queue
// at once in any case. It is a class's (ClassConfig), a prepared function's (Func.Cancellation), or a context's
// (WithCancellation).
//
// Python code sees the exception at a function's entry or at the end of a loop: not in a sleep, a wait for a lock or a
// socket, or C code. It never sees one in clean-up: in a finally clause, in __enter__, __exit__ and __del__, between an
// acquire and the try clause that follows, and in the standard library's modules that hold locks (threading, queue, logging and
// their kin). So what with statements and finally clauses promise holds for interrupted code too. A
// call that may be long or asleep therefore runs on a goroutine of its own, and its caller is freed with
// ErrUninterruptible when the call goes on for Config.Grace. The call is then lost until it ends (Stats.Lost): it keeps
// its thread, and its place among Config.MaxThreads. When lost calls have all places, others wait, their contexts' errors
// say how many are lost, and the watchdog reports where these hang.
//
// A nested task stays on its goroutine, and its caller is freed with the outer one's only. Work on Python's main thread
// (OnMain) is never interrupted.
type Cancellation = scheduler.Cancellation

// The policies. OnDeadline is the default.
const (
	OnDeadline = scheduler.OnDeadline // when the context's deadline passes
	OnCancel   = scheduler.OnCancel   // when the context ends, for whatever reason
	Never      = scheduler.Never
)

// WithCancellation gives a context whose work is interrupted as the policy says, whatever its class says.
func WithCancellation(ctx context.Context, policy Cancellation) context.Context {
	return gil.WithCancellation(ctx, policy)
}

// InterruptedError is work that was interrupted while it ran, because its context had ended, and failed.
type InterruptedError = gil.InterruptedError

// UninterruptibleError is work that went on though its context had ended and it was interrupted; its caller was freed.
type UninterruptibleError = gil.UninterruptibleError

// ErrUninterruptible is matched by every UninterruptibleError.
var ErrUninterruptible = gil.ErrUninterruptible
