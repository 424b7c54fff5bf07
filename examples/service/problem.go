package main

import (
	"context"
	"errors"
	"log/slog"
	"math"
	"net/http"
	"strconv"

	"gilt"
	py "gilt/handles"
	"gilt/scheduler"
)

// problem is an error as the client may see it.
type problem struct {
	status int
	text   string
}

// statusClientGone is what nginx notes for a client that did not wait for its answer.
const statusClientGone = 499

// problemOf is the table of what can go wrong.
func problemOf(err error) problem {
	if e, ok := errors.AsType[*requestError](err); ok {
		return problem{e.status, e.text}
	}
	if _, ok := errors.AsType[*gilt.InterruptedError](err); (ok || errors.Is(err, gilt.ErrUninterruptible)) && errors.Is(err, context.DeadlineExceeded) {
		return problem{http.StatusGatewayTimeout, "the request took too long"}
	}
	if e, ok := errors.AsType[*py.Error](err); ok {
		return exceptionOf(e)
	}
	switch {
	case errors.Is(err, gilt.ErrSaturated):
		return problem{http.StatusTooManyRequests, "too many requests are waiting: try again later"}
	case errors.Is(err, scheduler.ErrTooManyClasses):
		return problem{http.StatusTooManyRequests, "too many tenants: try again later"}
	case errors.Is(err, context.DeadlineExceeded):
		return problem{http.StatusGatewayTimeout, "the request did not have its turn in time"}
	case errors.Is(err, context.Canceled):
		return problem{statusClientGone, "the client has gone"}
	case errors.Is(err, gilt.ErrClosed):
		return problem{http.StatusServiceUnavailable, "the service is shutting down"}
	}
	return internal
}

// retryAfter is when to try again, in seconds: when the queue is likely to have room, or soon.
func retryAfter(err error) string {
	seconds := 1
	if e, ok := errors.AsType[*scheduler.SaturatedError](err); ok {
		seconds = int(math.Ceil(e.RetryAfter.Seconds()))
	}
	return strconv.Itoa(seconds)
}

var internal = problem{http.StatusInternalServerError, "internal error"}

// exceptionOf asks the exception itself and not its causes, which errors.Is would: an error of ours that
// a ValueError led to is no less ours. An exception without a frame was not raised by Python: a result
// could not be converted.
func exceptionOf(e *py.Error) problem {
	for _, class := range []py.ExceptionClass{py.ValueError, py.TypeError, py.KeyError} {
		if e.Is(class) && len(e.Frames) > 0 {
			return problem{http.StatusUnprocessableEntity, "features: " + e.Error()}
		}
	}
	return internal
}

// note logs what the client is not told.
func (s *service) note(r *http.Request, p problem, err error) {
	if p != internal {
		return // /stats counts those
	}
	attrs := []any{"path", r.URL.Path, "tenant", r.Header.Get("X-Tenant"), "error", err}
	if e, ok := errors.AsType[*py.Error](err); ok {
		attrs = append(attrs, slog.String("traceback", e.Traceback()))
	}
	s.log.ErrorContext(r.Context(), "request failed", attrs...)
}
