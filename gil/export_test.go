package gil

import "time"

// WatchdogLook gives the look that a watchdog takes.
func (h *Host) WatchdogLook(after time.Duration) func() { return h.newWatch(after).look }

// KeptTasks is how many tasks are kept.
func (h *Host) KeptTasks() (n int) {
	for i := range h.tasks.places {
		if h.tasks.places[i].Load() != nil {
			n++
		}
	}
	h.tasks.others.Range(func(any, any) bool { n++; return true })
	return n
}
