package benchmarks

import "time"

// sleeping is sleepers_64, _256 and _512: callers that wait outside the GIL.
func sleeping(n int) func(*env) (result, error) {
	return func(e *env) (result, error) {
		our, theirs, r, err := compare(e.atMost(3), func(s system, to *rate) (float64, error) {
			return to.round(s, n, 4*e.window(), "nap_us", 10_000)
		})
		r.extra = rates("ops_per_s", "vs_raw", &our, &theirs)
		return r, err
	}
}

// hashing is hashlib_2: callers that compute outside the GIL. One caller alone is measured in the same
// rounds, for the speed-up.
func hashing(e *env) (result, error) {
	type figures struct{ two, one rate }
	our, theirs, r, err := compare(e.atMost(3), func(s system, to *figures) (float64, error) {
		if _, err := to.one.round(s, 1, 2*e.window(), "digest", 8<<20); err != nil {
			return 0, err
		}
		return to.two.round(s, 2, 4*e.window(), "digest", 8<<20)
	})
	r.extra = append(rates("ops_per_s", "vs_raw", &our.two, &theirs.two),
		field{"speedup", our.two.over(&our.one)}, field{"raw_speedup", theirs.two.over(&theirs.one)})
	return r, err
}

// round adds what n callers do in w.
func (r *rate) round(s system, n int, w time.Duration, function string, arg int64) (float64, error) {
	counts, took, err := contend(n, s.start, w, func(int) error {
		_, err := s.run(function, arg)
		return err
	})
	r.add(sum(counts), took)
	return float64(took) / max(sum(counts), 1), err
}
