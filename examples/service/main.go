// Service is a net/http service that calls Python for each request. Tenants, told apart by a header, are
// classes: one that floods the service gets its share of Python's time and no more, and the others' short
// requests go on being answered in milliseconds.
//
//	go run ./examples/service [-addr HOST:PORT] [-admin HOST:PORT] [-deadline D] [-queue N] [-grace D]
//
//	curl -H 'X-Tenant: acme' http://127.0.0.1:8080/score \
//		-d '{"features": {"age": 41, "visits": 3, "basket": 120, "country": "PT"}}'
//	curl http://127.0.0.1:PORT/stats # the address that it prints: it is not for tenants, whose names are in it
//
// Adding "ms": 20 to the request makes Python compute for that many milliseconds more.
//
// A request has a deadline, 50 ms by default. One that has not had its turn by then is answered 504 and
// never runs, and one whose deadline passes while it runs is interrupted, and answered 504 too.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"syscall"
	"time"

	"gilt"
	_ "gilt/embedded"
)

type options struct {
	addr, admin     string
	deadline, grace time.Duration
	queue           int
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the process at once
	os.Exit(doMain(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

func doMain(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	o, err := parse(args, stderr)
	if errors.Is(err, flag.ErrHelp) {
		return 0
	}
	if err == nil {
		err = run(ctx, o, stdout, stderr)
	}
	if err != nil {
		fmt.Fprintln(stderr, "service:", err)
		return 1
	}
	return 0
}

func parse(args []string, stderr io.Writer) (o options, err error) {
	fs := flag.NewFlagSet("service", flag.ContinueOnError)
	fs.SetOutput(io.Discard)
	fs.StringVar(&o.addr, "addr", "127.0.0.1:8080", "listen on this `address`; port 0 picks a free one")
	fs.StringVar(&o.admin, "admin", "127.0.0.1:0", "answer /stats on this `address`, which tenants must not reach; port 0 picks a free one")
	fs.DurationVar(&o.deadline, "deadline", 50*time.Millisecond, "how long a request may wait for its turn")
	fs.IntVar(&o.queue, "queue", 1000, "how many requests may wait; more are answered 429")
	fs.DurationVar(&o.grace, "grace", 10*time.Second, "how long running requests have to end after SIGINT or SIGTERM")
	err = fs.Parse(args)
	switch {
	case errors.Is(err, flag.ErrHelp):
		fmt.Fprintln(stderr, "usage: service [-addr HOST:PORT] [-admin HOST:PORT] [-deadline D] [-queue N] [-grace D]")
		fs.SetOutput(stderr)
		fs.PrintDefaults()
	case err != nil:
		err = fmt.Errorf("%w: -help lists the flags", err)
	case fs.NArg() > 0:
		err = fmt.Errorf("unexpected argument %q: -help lists the flags", fs.Arg(0))
	case o.deadline <= 0 || o.grace <= 0:
		err = errors.New("-deadline, -grace: give a time above 0, like 50ms")
	case o.queue < 1:
		err = fmt.Errorf("-queue %d: give 1 or more", o.queue)
	}
	return o, err
}

// run serves until ctx ends, and then in the order of dependence: requests end first, then Python.
func run(ctx context.Context, o options, stdout, stderr io.Writer) (err error) {
	l, err := net.Listen("tcp", o.addr)
	if err != nil {
		return fmt.Errorf("-addr %s: %w", o.addr, err)
	}
	defer func() { _ = l.Close() }() // closed by then, when all went well
	admin, err := net.Listen("tcp", o.admin)
	if err != nil {
		return fmt.Errorf("-admin %s: %w", o.admin, err)
	}
	defer func() { _ = admin.Close() }()
	modules, err := unpackModule()
	if err != nil {
		return err
	}
	defer os.RemoveAll(modules)
	rt, err := gilt.Open(ctx, gilt.Config{Path: []string{modules}, MaxQueued: o.queue, SpareProcs: 2})
	if err != nil {
		return err
	}
	log := slog.New(slog.NewTextHandler(stderr, nil))
	s, err := newService(ctx, rt, "service:score", o.deadline, log)
	if err != nil {
		return errors.Join(err, rt.Close())
	}
	fmt.Fprintf(stdout, "listening on http://%s\nstats on http://%s/stats\n", l.Addr(), admin.Addr())
	srv, adminSrv := newServer(s.handler(), log), newServer(s.admin(), log)
	failed := make(chan error, 2)
	go func() { failed <- srv.Serve(l) }()
	go func() { failed <- adminSrv.Serve(admin) }()
	select {
	case err = <-failed: // the listener broke
	case <-ctx.Done():
		log.Info("shutting down", "grace", o.grace)
	}
	end, cancel := context.WithTimeout(context.WithoutCancel(ctx), o.grace)
	defer cancel()
	return errors.Join(err, shutdown(end, srv), shutdown(end, adminSrv), rt.Shutdown(end))
}
