package main

import (
	"context"
	"encoding/json"
	"net/http"

	"gilt"
)

const maxBody = 64 << 10

// handler serves POST /score and GET /healthz, to tenants.
func (s *service) handler() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("POST /score", s.endpoint(s.scoreOne))
	mux.Handle("GET /healthz", s.endpoint(s.health))
	return mux
}

// admin serves GET /stats, which names all tenants: not to them.
func (s *service) admin() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /stats", s.endpoint(s.stats))
	return mux
}

// endpoint serves what f returns as JSON, errors too.
func (s *service) endpoint(f func(*http.Request) (any, error)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Body = http.MaxBytesReader(w, r.Body, maxBody)
		answer, err := f(r)
		var body []byte
		if err == nil {
			body, err = json.Marshal(answer) // fails for a score that is not a number
		}
		status := http.StatusOK
		if err != nil {
			p := problemOf(err)
			s.note(r, p, err)
			if status = p.status; status == http.StatusTooManyRequests {
				w.Header().Set("Retry-After", retryAfter(err))
			}
			body, _ = json.Marshal(map[string]string{"error": p.text}) // a string always can
		}
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_, _ = w.Write(append(body, '\n')) // to a client that may have gone
	})
}

// scoreOne checks the request as far as Go can; only then does the tenant become a class.
func (s *service) scoreOne(r *http.Request) (any, error) {
	tenant, err := tenantOf(r)
	if err != nil {
		return nil, err
	}
	in, err := readScore(r.Body)
	if err != nil {
		return nil, err
	}
	score, err := s.call(r.Context(), tenant, in)
	return map[string]float64{"score": score}, err
}

// health is well when a turn comes within the deadline: it asks for one and uses no Python in it, so
// that it costs next to nothing and waits for no computation.
func (s *service) health(r *http.Request) (any, error) {
	ctx, cancel := context.WithTimeout(gilt.WithClass(r.Context(), s.healthClass), s.deadline)
	defer cancel()
	err := s.rt.Do(ctx, func(*gilt.Token) error { return nil })
	return map[string]string{"status": "ok"}, err
}
