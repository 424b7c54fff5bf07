package gil

import (
	"fmt"
	"time"

	"gilt/internal/cpython"
)

// graces is for how many graces interrupted work is waited for at most, when it had no chance to answer: its thread was
// given no processor, or waited for the GIL all the time.
const graces = 8

// answer is what is known of work that was interrupted and has not ended.
type answer struct {
	chance bool          // it had one to answer, or nobody can tell
	why    string        // that it has not, if that is not the Python code's own doing
	over   time.Duration // for so long it was interrupted
}

// interrupted interrupts the work until it has ended; ended is false when it has not within the grace. A grace in which the
// work had no chance to answer does not count, as long as they are no more than graces.
func (r *Running) interrupted(done chan struct{}) (a answer, ended bool) {
	grace := r.host.grace
	soon := min(time.Millisecond, grace/4) // most have ended by then, and need no look
	if r.interruptFor(soon, done) {
		return answer{}, true
	}
	base := r.standing()
	for n := time.Duration(1); ; n++ {
		if r.interruptFor(grace/2-soon, done) {
			return answer{}, true
		}
		soon = 0
		middle := r.standing()
		base = later(base, middle)
		if r.interruptFor(grace-grace/2, done) {
			return answer{}, true
		}
		now := r.standing()
		a = judge(base, middle, now, grace)
		if a.over = n * grace; a.chance || n == graces {
			return a, false
		}
		base = later(base, now)
	}
}

// later is from when on the work had a chance: from the first look on that found that it was interrupted.
func later(base, now cpython.Standing) cpython.Standing {
	if !base.Found || !base.Raised && now.Raised {
		return now
	}
	return base
}

// interruptFor interrupts the work for that long, or until it has ended: true.
func (r *Running) interruptFor(d time.Duration, done chan struct{}) bool {
	over := time.NewTimer(d)
	defer over.Stop()
	for pause := time.Millisecond; ; pause *= 2 { // again, for it may not have begun, or be inside a nested one
		r.interrupt()
		again := time.NewTimer(pause)
		select {
		case <-done:
			again.Stop()
			return true
		case <-over.C:
			again.Stop()
			return false
		case <-again.C:
		}
	}
}

// standing is how the work's task stands: the zero value, which has not begun, while it has no grant.
func (r *Running) standing() cpython.Standing {
	tag := r.tag.Load()
	if tag == 0 {
		return cpython.Standing{}
	}
	return r.interp.Load().Standing(tag)
}

// judge says whether work had a chance to answer its interruption, by how it stood when it first could (base), in the
// middle of the last grace, and stands now.
//
// The thread's processor clock tells: a tenth of a grace is enough for who has the exception to answer, and half of
// one is too much for who keeps the canceller from raising it. What waits for something else than the GIL, all the second
// half of the grace, had its chance too: it sleeps. What waits for the GIL had one only if one thread has kept that
// meanwhile, and has run: then its caller is not kept waiting for others' C code.
func judge(base, middle, now cpython.Standing, grace time.Duration) (a answer) {
	enough, ran := grace/10, max(now.Ran-base.Ran, 0)
	switch {
	case !now.Found && base.Found:
		a.why = "it has left Python, or runs another task inside"
	case !now.Found && !now.Begun:
		a.why = "it has not begun"
	case !now.Found || now.At == cpython.AtUnknown:
		a.chance = true // nobody can tell
	case now.At == cpython.AtGIL:
		a.why = "its thread waits for the GIL"
		if middle.Switches == now.Switches && middle.HolderRan >= 0 && now.HolderRan-middle.HolderRan >= enough {
			a.chance, a.why = true, a.why+", which "+nameOf(now.HolderWhat)+" keeps"
		}
	case now.At == cpython.AtWaits && middle.At == cpython.AtWaits && now.Ran-middle.Ran < enough:
		a.chance = true
		if now.InGo {
			a.why = "it is in Go code, which is not interrupted"
		}
	case base.Raised && ran >= enough, now.Holds && ran >= grace/2:
		a.chance = true
	default:
		a.why = fmt.Sprintf("its thread has had %v of a processor since", ran.Round(10*time.Microsecond))
	}
	return a
}
