package main

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"runtime"
	"time"
)

// spareProcessors adds to Go's processors, unless their number was chosen. A goroutine that enters Python
// keeps its processor until Go's monitor takes it away, which may be 10 ms later: with as few processors
// as a small machine has cores, two such goroutines keep every other request waiting meanwhile.
func spareProcessors() {
	if os.Getenv("GOMAXPROCS") == "" {
		runtime.GOMAXPROCS(runtime.GOMAXPROCS(0) + 2)
	}
}

// newServer is a server that no slow or idle client can hold up. WriteTimeout leaves room for answers that
// come late.
func newServer(h http.Handler, log *slog.Logger) *http.Server {
	return &http.Server{
		Handler:           h,
		ReadHeaderTimeout: 2 * time.Second,
		ReadTimeout:       5 * time.Second,
		WriteTimeout:      30 * time.Second,
		IdleTimeout:       time.Minute,
		MaxHeaderBytes:    16 << 10,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelError), // what panicked, too
	}
}

// shutdown lets requests end until ctx does, and then cuts the connections of those that are left.
func shutdown(ctx context.Context, srv *http.Server) error {
	if err := srv.Shutdown(ctx); err != nil {
		_ = srv.Close()
		return fmt.Errorf("requests were cut off: %w", err)
	}
	return nil
}
