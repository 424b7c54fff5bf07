package gil

import (
	"runtime"

	"gilt/internal/cpython"
	"gilt/scheduler"
)

// pace times the grace for one GIL's lanes while anybody waits for them.
func (h *Host) pace(it *cpython.Interp, lanes []int) {
	runtime.LockOSThread() // a timer slack is set for the thread
	var o scheduler.Order
	for {
		look := it.PacerWait(int(o.Pace), o.Tag, o.Quiet)
		switch look.Pace {
		case cpython.PaceStop:
			return
		case cpython.PaceTick:
			o = h.tick(lanes, look)
		case cpython.PaceCheck:
			o = h.orders(lanes, h.sched.Pace)
		}
	}
}

func (h *Host) tick(lanes []int, look cpython.Look) scheduler.Order {
	seen := scheduler.Look{Known: look.Known, Taken: look.Taken, Computes: look.Computes, Returns: look.Returns, Newest: look.Newest, Arrived: look.Arrived, Holder: look.Holder, Pending: look.Pending,
		Moved: look.Moved, Forced: look.Forced, User: look.User, Used: look.Used, Tended: look.Tended}
	return h.orders(lanes, func(lane int) scheduler.Order { return h.sched.Tick(lane, seen) })
}

// orders is the order of all the lanes of one GIL. The tags of several lanes may coincide, so that each look is told of them.
func (h *Host) orders(lanes []int, of func(lane int) scheduler.Order) (all scheduler.Order) {
	for _, lane := range lanes {
		if o := of(lane); o.Pace >= all.Pace {
			all = o
		}
	}
	if len(lanes) > 1 {
		all.Quiet = 0
	}
	return all
}
