// Package scheduler decides who may ask for the GIL next. It knows no Python: it hands out grants and
// is told how long each was used.
//
// A scheduler serves one or more lanes, one for each GIL (a free-threaded build is N lanes over one
// interpreter). Each lane has at most one primary grant. A grant leaves that place by Release, by
// Suspend (its holder works outside Python and comes back with Resume), or by lapsing (Tick finds its holder
// past its grace while others wait: it goes on, in Python or asleep, but no longer stands in the way; who
// follows is its heir). Primary, lapsed and suspended grants are in flight, and Config.MaxInFlight caps
// them over all lanes: it is the number of threads inside Python.
//
//	         Acquire                    Release
//	queued ──────────▶ primary ─────────────────────────▶ gone
//	   ▲                │    │ lapses           Release    ▲
//	   │                │    └───────▶ lapsed ─────────────┤
//	   │        Suspend │                │ Suspend         │
//	   │                ▼                ▼                 │
//	   └───────────── suspended ◀────────┘                 │
//	      Resume (ahead of new work of its class) ─────────┘
//
// # Who is next
//
// Work belongs to classes. A class has a virtual time, which its held time advances, divided by its
// weight; the class with the lowest goes next, over all lanes together. Classes form a tree (ClassConfig.Parent), in which that holds
// between the children of each parent. A class that had nothing to do
// starts again where the others are: sleeping earns no credit, and coming again and again earns none either (join). (This is start-time fair queueing, Goyal, Vin
// and Cheng, 1996.) A lapsed task that is seen to compute, a runner, goes on competing: when its class has
// used least, the lane is kept for it alone. Work that is known to be long (History) waits in a line of its
// own, of which no more than Config.MaxLong compute at once. Inside a class resumed work goes first, then the nearest deadline, then
// arrival; work without a deadline counts as due Patience after it came, so it does not starve. Work that is expected to end after its
// deadline is refused, if others can use its turn (LateError).
//
// # What it costs
//
// A lane's state is one atomic word. With nobody waiting, Acquire and Release are a compare-and-swap
// each plus one atomic add for the charge: no lock, no allocation, no clock.
//
// When others wait, a release within the class's slice leaves the lane free and wakes one waiter, the
// candidate, as sync.Mutex does: a goroutine of the same class that is running anyway may take the next
// grant before the candidate arrives, which saves a goroutine switch per grant. A candidate that comes
// too late stays where it was in the queue, and for a little while, doubling up to 32 µs of work, no
// other is woken. When the slice is over the lane is handed over directly to whoever is next. So a lane
// can be free for a moment while somebody waits; Tick, called by the pacer about every 100 µs while
// anybody waits, ends that. While a lane has runners every operation takes the lock. Without a pacer (Config.Arm nil) no wake is ever held back.
package scheduler
