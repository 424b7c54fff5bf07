package scheduler

// word is the whole state of a lane in 64 bits, so that an uncontended grant and its return are one
// compare-and-swap each:
//
//	[generation: 44][class: 14][flags: 6]
//
// The generation counts grants of the lane. It is never the same for two grants within 2^44 of each
// other, so a grant that lost the lane (it lapsed, or was released twice) is known by its number. In a
// free word the class is that of the last holder: the only class that may barge.
type word uint64

const (
	flagHeld    word = 1 << iota // somebody is the primary
	flagWaiting                  // somebody waits for this lane: a release counts against the slice
	flagSlow                     // every operation takes the lock: the cap is near, or a Drain or Close is on
	flagCall                     // the next release takes the lock, once
	flagGuard                    // a long task computes beside: every operation takes the lock
	flags       = 1<<classShift - 1
)

const (
	classShift = 6
	classBits  = 14
	genShift   = classShift + classBits
	classMask  = 1<<classBits - 1
)

func (w word) flagged() bool { return w&(flags&^flagHeld) != 0 }
func (w word) held() bool    { return w&flagHeld != 0 }
func (w word) class() int    { return int(w>>classShift) & classMask }
func (w word) gen() uint64   { return uint64(w >> genShift) }

// next is the word after granting the lane to class index class: a new generation, held, nothing called.
func (w word) next(class uint32) word {
	return (w>>genShift+1)<<genShift | word(class)<<classShift | w&(flagWaiting|flagSlow|flagGuard) | flagHeld
}

// free is the word after the holder has gone.
func (w word) free() word { return w &^ (flagHeld | flagCall) }

// open reports whether a running goroutine of class may take the lane by itself: nobody holds it, and
// either nobody waits or the class barges within its slice.
func (w word) open(class uint32) bool {
	if w&(flagHeld|flagSlow|flagCall|flagGuard) != 0 {
		return false
	}
	return w&flagWaiting == 0 || w.class() == int(class)
}

// heldWord is the word of a lane whose primary is g, flags aside.
func heldWord(g Grant) word {
	return word(g.gen)<<genShift | word(g.class.index)<<classShift | flagHeld
}
