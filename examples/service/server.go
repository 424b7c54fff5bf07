package main

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"time"
)

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
