package scheduler

// Lapse is a Tick that knows nothing.
func (s *Scheduler) Lapse(lane int) bool { return s.Tick(lane, Look{}).Pace != Rest }
