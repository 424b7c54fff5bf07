package gil

import "time"

// WatchdogLook gives the look that a watchdog takes.
func (h *Host) WatchdogLook(after time.Duration) func() { return h.newWatch(after).look }
