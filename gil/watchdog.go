package gil

import (
	"bytes"
	"fmt"
	"log/slog"
	"runtime"
	"strings"
	"time"

	"gilt/internal/cpython"
	"gilt/scheduler"
)

// looksBlocked is how often the watchdog must see the same, so that a process that was stopped for a while is not
// taken for one that is blocked.
const looksBlocked = 4

// watchdog reports tasks that wait in Go code (for a channel, a mutex, work of this runtime) and keep others from
// Python meanwhile: those that have the GIL, those that have all the threads, of these also lost ones, and those that wait for
// others that wait for what these import. Each incident once.
func (h *Host) watchdog(after time.Duration) {
	tick := time.NewTicker(after / looksBlocked)
	defer tick.Stop()
	w := h.newWatch(after)
	for {
		select {
		case <-h.quit:
			return
		case <-tick.C:
			w.look()
		}
	}
}

// watch is what the watchdog has seen.
type watch struct {
	host    *Host
	after   time.Duration
	holders map[*cpython.Interp]*incident
	threads incident
	cycles  map[[2]uint64]*incident
	looked  chan map[[2]uint64]*cycle // of one: what a look for cycles gave, which another goroutine takes; nil while there is none
}

func (h *Host) newWatch(after time.Duration) *watch {
	w := &watch{host: h, after: after, holders: make(map[*cpython.Interp]*incident), cycles: make(map[[2]uint64]*incident)}
	for it := range h.byInterp() {
		w.holders[it] = &incident{}
	}
	return w
}

func (w *watch) look() {
	for it, i := range w.holders {
		held := it.Watch()
		if i.goesOn(held.Waits > 0 && held.Since != 0, [2]uint64{held.Since, held.Tag}) {
			w.host.tellHolder(it, held, w.after)
		}
	}
	full, waiting, ended := w.host.sched.Jammed()
	if w.threads.goesOn(full && waiting > 0, [2]uint64{ended}) {
		w.host.tellJam(waiting, w.after)
	}
	w.lookForCycles()
}

// lookForCycles has another goroutine look, which may have to wait for the GIL, and only when somebody waits in Go code.
func (w *watch) lookForCycles() {
	if w.looked != nil {
		select {
		case found := <-w.looked:
			w.looked = nil
			w.noteCycles(found)
		default:
			return
		}
	}
	if len(w.host.waits.waiting()) == 0 {
		clear(w.cycles)
		return
	}
	looked := make(chan map[[2]uint64]*cycle, 1)
	w.looked = looked
	w.host.helpers.Go(func() { looked <- w.host.lookForCycles() }) // Shutdown waits for it: it runs Python
}

func (w *watch) noteCycles(found map[[2]uint64]*cycle) {
	for key := range w.cycles {
		if found[key] == nil {
			delete(w.cycles, key)
		}
	}
	for key, c := range found {
		if w.cycles[key] == nil {
			w.cycles[key] = &incident{}
		}
		if w.cycles[key].goesOn(true, key) {
			w.host.tellCycle(c, w.after)
		}
	}
}

// incident is something that must be seen to stay the same before it is told.
type incident struct {
	what [2]uint64
	seen int
}

// goesOn notes a look; it says whether that is the one upon which to tell.
func (i *incident) goesOn(there bool, what [2]uint64) bool {
	if !there || what != i.what {
		i.what, i.seen = what, 0
	}
	if there {
		i.seen++
	}
	return i.seen == looksBlocked+1
}

const advice = "wait in Token.AllowThreads, with gil.Mutex and its kin, or outside the task"

func (h *Host) tellHolder(it *cpython.Interp, held cpython.HeldInGo, after time.Duration) {
	stacks := blockedTasks()
	slog.Error("gilt: a task has the GIL and is in Go code, while others wait for it: "+advice, "task", nameOf(held.What),
		"for", after, "waiting", held.Waits, "interpreter", it.ID, "stacks", strings.Join(first(stacks), "\n\n"))
	h.jams.Add(1)
}

// tellJam tells of tasks that use all the threads, if they wait in Go or are lost: in Python they may only be many.
func (h *Host) tellJam(waiting int, after time.Duration) {
	stacks, lost, inFlight := blockedTasks(), h.lostTasks(), h.sched.Stats().All.InFlight
	if len(stacks)+len(lost) < inFlight {
		return
	}
	if len(lost) > 0 {
		h.tellLost(stacks, lost, inFlight, waiting, after)
		return
	}
	slog.Error("gilt: all tasks that Config.MaxThreads allows are in Go code and wait, and others for them: "+advice, "tasks", len(stacks),
		"for", after, "waiting", waiting, "stacks", strings.Join(first(stacks), "\n\n"))
	h.jams.Add(1)
}

// tellLost tells that so many tasks are lost that nothing more can run.
func (h *Host) tellLost(stacks []string, lost []scheduler.LostTask, inFlight, waiting int, after time.Duration) {
	const most = 16
	var frames []string
	for _, l := range lost[:min(len(lost), most)] {
		frames = append(frames, fmt.Sprintf("%s in %q for %v", l.What, l.Where, l.For.Round(time.Millisecond)))
	}
	slog.Error("gilt: all threads that Config.MaxThreads allows are taken, some by lost tasks, whose callers were freed, and none has ended while others wait: "+
		"have code end that is interrupted, or raise Config.MaxThreads", "threads", inFlight, "lost", len(lost), "waiting", waiting, "for", after,
		"frames", strings.Join(frames, "; "), "stacks", strings.Join(first(stacks), "\n\n"))
	h.jams.Add(1)
}

func first(stacks []string) []string { return stacks[:min(len(stacks), 4)] }

// blockedTasks are the stacks of the goroutines that are in a task and wait in Go code.
func blockedTasks() (blocked []string) {
	buf := make([]byte, 1<<20)
	for n := runtime.Stack(buf, true); ; n = runtime.Stack(buf, true) {
		if n < len(buf) || n >= 64<<20 {
			buf = buf[:n]
			break
		}
		buf = make([]byte, 2*len(buf))
	}
	for _, g := range bytes.Split(buf, []byte("\n\n")) {
		head, stack, _ := strings.Cut(string(g), "\n")
		_, state, _ := strings.Cut(head, "[")
		state, _, _ = strings.Cut(strings.TrimSuffix(state, "]:"), ",")
		inTask := strings.Contains(stack, "gilt/gil.(*Host).run(") || strings.Contains(stack, "gilt/gil.(*job[...]).call(") || strings.Contains(stack, "gilt/internal/cpython._Cfunc_go_")
		switch state {
		case "running", "runnable", "syscall":
			continue
		}
		if inTask && strings.Contains(head, "locked to thread") {
			blocked = append(blocked, head+"\n"+stack)
		}
	}
	return blocked
}
