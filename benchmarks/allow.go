package benchmarks

// allowContended is allow_threads_contended: AllowThreads around nothing while others wait for the GIL. What it costs
// is the difference to the same tasks without, each at its best: its own time has the others' Python in it.
func allowContended(e *env) (result, error) {
	const callers, crossings = 4, 20
	steps, err := e.pySteps(shortTask)
	if err != nil {
		return result{}, err
	}
	type figures struct{ with, without []float64 }
	with, without := parts(crossings, true)(e), parts(crossings, false)(e)
	our, theirs, r, err := compare(e.atMost(5), func(s system, to *figures) (float64, error) {
		part := func(o operation) (float64, error) {
			counts, took, err := contend(callers, s.start, 2*e.window(), func(int) error {
				if s.label == ours {
					return o.gilt(e.ctx, crossings*steps)
				}
				o.raw(crossings * steps)
				return nil
			})
			return float64(took) / max(crossings*sum(counts), 1), err
		}
		plain, err := part(without)
		if err != nil {
			return 0, err
		}
		ns, err := part(with)
		to.with, to.without = append(to.with, ns), append(to.without, plain)
		return ns, err
	})
	cost := func(f figures) float64 { return round3((quantile(f.with, 0) - quantile(f.without, 0)) / 1e3) }
	r.extra = []field{{"cost_us", cost(our)}, {"raw_cost_us", cost(theirs)}}
	return r, err
}
