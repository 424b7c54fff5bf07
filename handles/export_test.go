package handles

// Failure is failure, for the wire forms that no Python makes.
var Failure = failure

// LiveFunctions is how many Go functions Python knows.
func LiveFunctions() (n int) {
	for _, c := range *registry.functions.Load() {
		if c != nil {
			n++
		}
	}
	return n
}

// Waiting is how many orders the loop has not taken yet.
func (l *Loop) Waiting() (n int) {
	for o := l.orders.Load(); o != nil; o = o.before { // of a loop that is held up
		n++
	}
	return n
}
