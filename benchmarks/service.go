package benchmarks

import (
	"context"
	"errors"
	"net"
	"net/http"
	"runtime"
	"time"

	vegeta "github.com/tsenart/vegeta/v12/lib"

	"gilt"
	"gilt/benchmarks/naive"
)

// services are the workloads of a net/http service, asked over loopback.
func services() []workload {
	return []workload{{"service_flood", "an HTTP request for 1 ms of Python, 200 a second, beside a tenant that keeps 16 requests for 20 ms going: the mean, p50_us, p99_us, max_us, from when it is sent; raw_ is the same service on the raw GIL", serviceFlood}}
}

var steadyRate = vegeta.Rate{Freq: 200, Per: time.Second}

const (
	steadyWork = time.Millisecond
	floodWork  = 20 * time.Millisecond
	// floodRequests are under way at a time.
	floodRequests = 16
	// mostRequests of the steady tenant's may be under way, where they come faster than they are answered.
	mostRequests = 256
	// patience is every request's deadline: so long that the flood's, too, are computed and not sent away.
	patience = 10 * time.Second
)

// computing is a service's use of Python: n steps for a tenant.
type computing func(ctx context.Context, tenant string, n int64) error

// serviceFlood has one round of each side, 5 s by default and 1 s at the least. Both have two of Go's
// processors more than there are by default, as Config.SpareProcs would give them.
func serviceFlood(e *env) (result, error) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(runtime.GOMAXPROCS(0) + 2))
	short, err := e.pySteps(steadyWork)
	if err != nil {
		return result{}, err
	}
	long := short * int64(floodWork/steadyWork)
	scheduled, err := e.scheduled()
	if err != nil {
		return result{}, err
	}
	raw := make(rawThreads)
	defer close(raw)
	var ourLoad, rawLoad load
	once := *e
	once.rounds = 1
	w := max(25*e.window(), time.Second)
	r, err := once.interleave(
		side{ours, func() (float64, error) { return ourLoad.run(w, service(scheduled, short, long)) }},
		side{baseline, func() (mean float64, err error) {
			err = e.usual(func() (err error) {
				mean, err = rawLoad.run(w, service(raw.compute, short, long))
				return err
			})
			return mean, err
		}})
	r.extra = append(ourLoad.fields(""), rawLoad.fields("raw_")...)
	return r, err
}

// scheduled is gilt's side: a prepared function, and a class for each tenant.
func (e *env) scheduled() (computing, error) {
	var work *gilt.Func[int64, struct{}]
	if err := prepared(e, "work", &work); err != nil {
		return nil, err
	}
	return func(ctx context.Context, tenant string, n int64) error {
		class, err := e.rt.Class("bench-" + tenant)
		if err != nil {
			return err
		}
		_, err = work.Call(gilt.WithClass(ctx, class), n)
		return err
	}, nil
}

// rawThreads is the raw GIL's side: each request enters Python on a thread of its own, and CPython's lock
// decides. A thread and its thread state are kept for later requests.
type rawThreads chan func()

func (idle rawThreads) compute(_ context.Context, _ string, n int64) error {
	done := make(chan struct{})
	task := func() {
		defer close(done)
		naive.With(func() { naive.Work(n) })
	}
	select {
	case idle <- task:
	default:
		warmThread(func() {
			task()
			for task := range idle {
				task()
			}
		})
	}
	<-done
	return nil
}

// service computes what the tenants ask for: long for the one that floods, short for the steady one.
func service(compute computing, short, long int64) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), patience)
		defer cancel()
		tenant, n := r.Header.Get("X-Tenant"), short
		if tenant == "flood" {
			n = long
		}
		if err := compute(ctx, tenant, n); err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
		}
	})
}

// load is what became of the two tenants' requests.
type load struct {
	took     time.Duration
	flood    int       // the flood's requests that were answered
	sent     []float64 // latencies of the steady tenant's requests, from when they were sent
	due      []float64 // from when they were due, which counts what the client sent late
	failures int
	failure  string // one of them
}

func (l *load) fields(prefix string) []field {
	all := append(quantiles(prefix, l.sent),
		field{prefix + "p99_from_due_us", round1(quantile(l.due, 0.99) / 1e3)},
		field{prefix + "failures", l.failures},
		field{prefix + "ops_per_s", round1(float64(len(l.sent)-l.failures) / l.took.Seconds())},
		field{prefix + "flood_ops_per_s", round1(float64(l.flood) / l.took.Seconds())})
	if l.failures > 0 {
		all = append(all, field{prefix + "failure", l.failure})
	}
	return all
}

// run serves h under both tenants' load for w and gives the mean latency of the steady one's requests.
func (l *load) run(w time.Duration, h http.Handler) (mean float64, err error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	server := &http.Server{Handler: h, ReadHeaderTimeout: patience}
	go func() { _ = server.Serve(listener) }() // requests meet what goes wrong with it
	defer func() { _ = server.Close() }()
	url := "http://" + listener.Addr().String()

	flood := vegeta.NewAttacker(vegeta.Workers(floodRequests), vegeta.MaxWorkers(floodRequests), vegeta.Timeout(2*patience))
	steady := vegeta.NewAttacker(vegeta.MaxWorkers(mostRequests), vegeta.Timeout(2*patience))
	floods := flood.Attack(from("flood", url), vegeta.Rate{}, 0, "") // as fast as they are answered, until Stop
	<-floods
	began := time.Now()
	steadies := steady.Attack(from("steady", url), steadyRate, w, "")
	for steadies != nil {
		select {
		case r := <-floods:
			if r.Error == "" {
				l.flood++
			}
		case r, more := <-steadies:
			if !more {
				steadies = nil
				break
			}
			l.add(r, began)
		}
	}
	l.took = time.Since(began)
	flood.Stop()
	for range floods { // those under way
	}
	if l.flood == 0 {
		return 0, errors.New("no request of the flood was answered while the other tenant's were: it was none")
	}
	return sum(l.sent) / float64(len(l.sent)), nil
}

// from sends a tenant's requests.
func from(tenant, url string) vegeta.Targeter {
	return vegeta.NewStaticTargeter(vegeta.Target{Method: http.MethodGet, URL: url, Header: http.Header{"X-Tenant": {tenant}}})
}

func (l *load) add(r *vegeta.Result, began time.Time) {
	due := began.Add(time.Duration(r.Seq+1) * steadyRate.Per / time.Duration(steadyRate.Freq))
	l.sent = append(l.sent, float64(r.Latency))
	l.due = append(l.due, float64(r.Latency+max(r.Timestamp.Sub(due), 0)))
	if r.Error != "" {
		l.failures++
		l.failure = r.Error
	}
}
