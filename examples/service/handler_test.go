package main

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"gilt/internal/pytest"
)

const likely = `{"features": {"age": 41, "visits": 3, "basket": 120, "country": "PT"}}`

func TestScore(t *testing.T) {
	f := newFixture(t, "service:score", time.Minute)
	for _, c := range []struct {
		name, body string
		status     int
		says       string
	}{
		{"a score", likely, 200, `{"score":0.3612`},
		{"an unknown country", strings.Replace(likely, "PT", "??", 1), 200, `{"score":0.2952`},
		{"a feature more", strings.Replace(likely, `"age"`, `"x": null, "age"`, 1), 200, `{"score":0.3612`},
		{"computing for longer", strings.Replace(likely, "{", `{"ms": 5, `, 1), 200, `{"score":0.3612`},
		{"no feature", `{"features": {}}`, 422, `features: KeyError: 'country'`},
		{"a feature less", strings.Replace(likely, `"age"`, `"x"`, 1), 422, `features: KeyError: 'age'`},
		{"text for a number", strings.Replace(likely, "41", `"x"`, 1), 422, `features: TypeError: age: give a number, not str`},
		{"true for a number", strings.Replace(likely, "41", `true`, 1), 422, `give a number, not bool`},
		{"a number for text", strings.Replace(likely, `"PT"`, `1`, 1), 422, `features: TypeError: country: give a text, not float`},
		{"out of range", strings.Replace(likely, "41", `-1`, 1), 422, `features: ValueError: age: give 0 to 100000, not -1`},
		{"far out of range", strings.Replace(likely, "41", `1e300`, 1), 422, `not 1e+300`},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := f.score(t.Context(), c.body)
			if w.Code != c.status || !strings.Contains(w.Body.String(), c.says) {
				t.Errorf("%d %s, want %d %s", w.Code, w.Body, c.status, c.says)
			}
		})
	}
	if f.log.String() != "" {
		t.Errorf("it logged %s", &f.log)
	}
}

func TestBadRequests(t *testing.T) {
	f := newFixture(t, "service:score", time.Minute)
	long := strings.Repeat("x", 65)
	deep := strings.Repeat(`{"a":`, 20_000)
	for _, c := range []struct {
		name, method, path, tenant, body string
		status                           int
		says                             string
	}{
		{"no tenant", "POST", "/score", "", likely, 400, "name the tenant in the header X-Tenant"},
		{"a tenant too long", "POST", "/score", long, likely, 400, "1 to 64 letters"},
		{"a tenant with a slash", "POST", "/score", "/healthz", likely, 400, "1 to 64 letters"},
		{"a tenant in Latin-1", "POST", "/score", "caf\xe9", likely, 400, "1 to 64 letters"},
		{"no body", "POST", "/score", "a", "", 400, "not a request in JSON"},
		{"not JSON", "POST", "/score", "a", "age=41", 400, "not a request in JSON"},
		{"half of JSON", "POST", "/score", "a", likely[:40], 400, "not a request in JSON"},
		{"two requests", "POST", "/score", "a", likely + likely, 400, "one request at a time"},
		{"something behind it", "POST", "/score", "a", likely + "}", 400, "not a request in JSON"},
		{"an array", "POST", "/score", "a", "[1]", 400, "the body: a JSON array does not belong there"},
		{"null", "POST", "/score", "a", "null", 400, "features: missing"},
		{"no features", "POST", "/score", "a", "{}", 400, "features: missing"},
		{"features of the wrong type", "POST", "/score", "a", `{"features": 3}`, 400, "features: a JSON number does not belong there"},
		{"a feature that is an array", "POST", "/score", "a", `{"features": {"age": [1]}}`, 400, `"age\": give a number`},
		{"a feature that is an object", "POST", "/score", "a", `{"features": {"age": {}}}`, 400, `"age\": give a number`},
		{"a feature out of all range", "POST", "/score", "a", `{"features": {"age": 1e999}}`, 400, "1e999"},
		{"nested without end", "POST", "/score", "a", `{"features": ` + deep[:60_000], 400, "not a request in JSON"},
		{"ms of the wrong type", "POST", "/score", "a", `{"features": {}, "ms": "5"}`, 400, "ms: a JSON string does not belong there"},
		{"ms below zero", "POST", "/score", "a", `{"features": {}, "ms": -1}`, 400, "ms: -1: give 0 to 1000"},
		{"ms too long", "POST", "/score", "a", `{"features": {}, "ms": 1001}`, 400, "give 0 to 1000"},
		{"an unknown field", "POST", "/score", "a", `{"feature": {}}`, 400, `unknown field`},
		{"too large", "POST", "/score", "a", `{"features": {"x": "` + strings.Repeat("x", maxBody) + `"}}`, 413, "longer than 65536 bytes"},
		{"too large, behind it", "POST", "/score", "a", likely + strings.Repeat(" ", maxBody), 413, "longer than 65536 bytes"},
		{"an unknown path", "POST", "/scores", "a", likely, 404, "not found"},
		{"a path below", "POST", "/score/1", "a", likely, 404, "not found"},
		{"the wrong method", "GET", "/score", "a", "", 405, "Method Not Allowed"},
		{"stats, which are not for tenants", "GET", "/stats", "a", "", 404, "not found"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := serve(t.Context(), f, c.method, c.path, c.tenant, c.body)
			if w.Code != c.status || !strings.Contains(w.Body.String(), c.says) {
				t.Errorf("%d %s, want %d %s", w.Code, w.Body, c.status, c.says)
			}
			if c.status == http.StatusMethodNotAllowed && w.Header().Get("Allow") == "" {
				t.Error("no Allow header")
			}
			if strings.HasPrefix(c.path, "/score") && len(w.Body.String()) > 200 {
				t.Errorf("an answer of %d bytes", w.Body.Len())
			}
		})
	}
	if f.log.String() != "" {
		t.Errorf("it logged %s", &f.log)
	}
	var st statsAnswer
	decode(t, serve(t.Context(), f.admin, "GET", "/stats", "", ""), &st)
	for _, c := range st.Classes {
		if c.Name == "a" && c.Granted > 0 {
			t.Error("a bad request came to Python: ", c)
		}
	}
}

func decode(t *testing.T, w *httptest.ResponseRecorder, to any) {
	t.Helper()
	if w.Code != http.StatusOK || w.Header().Get("Content-Type") != "application/json" {
		t.Fatal(w.Code, w.Header(), w.Body)
	}
	if err := json.Unmarshal(w.Body.Bytes(), to); err != nil {
		t.Fatal(err)
	}
}

// What Python raises: the client learns what is wrong with its input and nothing of what is wrong with us.
func TestExceptions(t *testing.T) {
	for _, c := range []struct {
		do     string
		status int
		says   string // to the client, or else in the log
	}{
		{"ValueError", 422, `{"error":"features: ValueError: low"}`},
		{"TypeError", 422, `{"error":"features: TypeError: low"}`},
		{"KeyError", 422, `{"error":"features: KeyError: 'low'"}`},
		{"refuse", 422, `{"error":"features: faults.Refused: low"}`},
		{"RuntimeError", 500, "in score\\nRuntimeError: secret"},
		{"fail for a ValueError", 500, "RuntimeError: secret"},
		{"MemoryError", 500, "MemoryError: low"},
		{"exit", 500, "SystemExit: 3"},
		{"recurse", 500, "RecursionError"},
		{"give text", 500, "TypeError"},
		{"give nan", 500, "NaN"},
	} {
		t.Run(c.do, func(t *testing.T) {
			f := newFixture(t, "faults:score", time.Minute)
			w := f.score(t.Context(), fmt.Sprintf(`{"features": {"do": %q}}`, c.do))
			body, log := strings.TrimSpace(w.Body.String()), f.log.String()
			switch {
			case w.Code != c.status:
				t.Errorf("%d %s, want %d", w.Code, body, c.status)
			case c.status == 422 && (body != c.says || log != ""):
				t.Errorf("the client is told %s, the log %s", body, log)
			case c.status == 500 && body != `{"error":"internal error"}`:
				t.Errorf("the client is told %s", body)
			case c.status == 500 && (!strings.Contains(log, c.says) || !strings.Contains(log, "tenant=acme") || strings.Count(log, "\n") != 1):
				t.Errorf("the log is %s, want %s in it", log, c.says)
			}
			if w := newFixture(t, "service:score", time.Minute).score(t.Context(), likely); w.Code != 200 {
				t.Errorf("the next request: %d %s", w.Code, w.Body)
			}
		})
	}
}

// hold is a request inside Python, until release.
type hold struct {
	answer  chan *httptest.ResponseRecorder
	release func()
}

func (f *fixture) hold(t *testing.T) hold {
	t.Helper()
	began, begin, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	end, ending, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		for _, p := range []*os.File{began, begin, end, ending} {
			p.Close()
		}
	})
	h := hold{answer: make(chan *httptest.ResponseRecorder, 1), release: func() { ending.Close() }}
	body := fmt.Sprintf(`{"features": {"do": "hold", "began": %d, "end": %d}}`, begin.Fd(), end.Fd())
	go func() { h.answer <- f.score(context.Background(), body) }()
	inside := make(chan error, 1)
	go func() {
		_, err := began.Read(make([]byte, 1))
		inside <- err
	}()
	select {
	case err := <-inside:
		if err != nil {
			t.Fatal(err)
		}
	case w := <-h.answer:
		t.Fatalf("it did not come to Python: %d %s", w.Code, w.Body)
	}
	return h
}

func TestSaturated(t *testing.T) {
	f, faults := newFixture(t, "service:score", time.Minute), newFixture(t, "faults:score", time.Minute)
	h := faults.hold(t)
	answers := make(chan *httptest.ResponseRecorder, 2)
	for range 2 { // one finds room to wait, the other does not
		go func() { answers <- f.score(context.Background(), likely) }()
	}
	w := <-answers
	if w.Code != http.StatusTooManyRequests || w.Header().Get("Retry-After") != "1" || !strings.Contains(w.Body.String(), "too many requests are waiting") {
		t.Error(w.Code, w.Header(), w.Body)
	}
	var st statsAnswer
	decode(t, serve(t.Context(), f.admin, "GET", "/stats", "", ""), &st)
	if st.All.InFlight != 1 || st.All.Queued != 1 || st.All.Rejected == 0 || len(st.Lanes) != 1 {
		t.Errorf("stats %+v", st)
	}
	h.release()
	for _, c := range []chan *httptest.ResponseRecorder{h.answer, answers} {
		if w := <-c; w.Code != http.StatusOK {
			t.Error(w.Code, w.Body)
		}
	}
}

func TestDeadline(t *testing.T) {
	const deadline = 200 * time.Millisecond
	f, faults := newFixture(t, "service:score", deadline), newFixture(t, "faults:score", time.Minute)
	h := faults.hold(t)
	if w := f.score(t.Context(), likely); w.Code != http.StatusGatewayTimeout || !strings.Contains(w.Body.String(), "did not have its turn in time") {
		t.Error("while another is inside:", w.Code, w.Body)
	}
	if w := serve(t.Context(), f, "GET", "/healthz", "", ""); w.Code != http.StatusGatewayTimeout {
		t.Error("healthz while no turn comes:", w.Code, w.Body)
	}
	h.release()
	if w := <-h.answer; w.Code != http.StatusOK || !strings.Contains(w.Body.String(), `{"score":0.5}`) {
		t.Error("the one that was inside:", w.Code, w.Body)
	}
	h = newFixture(t, "faults:score", deadline).hold(t)
	if w := <-h.answer; w.Code != http.StatusGatewayTimeout || !strings.Contains(w.Body.String(), "took too long") {
		t.Error("one that takes too long:", w.Code, w.Body)
	}
	h.release()
	// What was cut off keeps its place, of which there is one, until it has ended.
	pytest.Eventually(t, "healthz is well afterwards", func() bool {
		w := serve(t.Context(), f, "GET", "/healthz", "", "")
		return w.Code == http.StatusOK && strings.Contains(w.Body.String(), "ok")
	})
}

func TestClientGone(t *testing.T) {
	f := newFixture(t, "service:score", time.Minute)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if w := f.score(ctx, likely); w.Code != statusClientGone {
		t.Error(w.Code, w.Body)
	}
}

func TestStats(t *testing.T) {
	f := newFixture(t, "service:score", time.Minute)
	counted := func() (found classStats) {
		var st statsAnswer
		decode(t, serve(t.Context(), f.admin, "GET", "/stats", "", ""), &st)
		for _, c := range st.Classes {
			if c.Name == "counted" {
				found = c
			}
		}
		return found
	}
	body := strings.Replace(likely, "{", `{"ms": 20, `, 1)
	before := counted()
	if w := serve(t.Context(), f, "POST", "/score", "counted", body); w.Code != http.StatusOK {
		t.Fatal(w.Code, w.Body)
	}
	after := counted()
	if after.Granted != before.Granted+1 || after.HeldMS < before.HeldMS+20 || after.Weight != 1 || after.Queued+after.InFlight != 0 {
		t.Errorf("before %+v, after %+v", before, after)
	}
}

// A runtime that makes no more classes, and one that has shut down.
func TestRefused(t *testing.T) {
	want := `late 429 "1" {"error":"too many tenants: try again later"}
early 200 "" {"score":0.36123682485115804}
health 200 "" {"status":"ok"}
early 503 "" {"error":"the service is shutting down"}
`
	if got := pytest.Child(t, "refuse"); got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}

func refuse() error {
	rt, err := openPython()
	if err != nil {
		return err
	}
	s, err := newService(context.Background(), rt, "service:score", time.Minute, slog.New(slog.DiscardHandler))
	if err != nil {
		return err
	}
	say := func(tenant string) {
		w := serve(context.Background(), s.handler(), "POST", "/score", tenant, likely)
		fmt.Printf("%s %d %q %s", tenant, w.Code, w.Header().Get("Retry-After"), w.Body)
	}
	_, err = rt.Class("early")
	for i := 0; err == nil && i < 1<<20; i++ {
		_, err = rt.Class(fmt.Sprintf("class-%d", i))
	}
	say("late")
	say("early")
	w := serve(context.Background(), s.handler(), "GET", "/healthz", "", "")
	fmt.Printf("health %d %q %s", w.Code, w.Header().Get("Retry-After"), w.Body)
	err = closePython(rt)
	say("early")
	return err
}

// However many names are sent, tenants and /healthz are answered, and there are no more classes than the service allows.
func TestFloodOfTenants(t *testing.T) {
	f := newFixture(t, "service:score", time.Minute)
	f.service.tenants = newTenants(3)
	for i := range 500 {
		if w := serve(t.Context(), f, "POST", "/score", fmt.Sprintf("flood-%d", i), likely); w.Code != http.StatusOK {
			t.Fatalf("tenant %d: %d %s", i, w.Code, w.Body)
		}
	}
	if w := serve(t.Context(), f, "GET", "/healthz", "", ""); w.Code != http.StatusOK {
		t.Error("healthz:", w.Code, w.Body)
	}
	var st statsAnswer
	decode(t, serve(t.Context(), f.admin, "GET", "/stats", "", ""), &st)
	own, common := 0, 0
	for _, c := range st.Classes {
		if strings.HasPrefix(c.Name, "flood-") {
			own++
		}
		if strings.HasPrefix(c.Name, "/shared-") {
			common++
		}
	}
	if own != 3 || common == 0 || common > sharedClasses {
		t.Errorf("%d classes of tenants and %d that they share, want 3 and 1 to %d", own, common, sharedClasses)
	}
	if first, again := f.service.tenants.class("flood-0"), f.service.tenants.class("flood-400"); first != "flood-0" || again != f.service.tenants.class("flood-400") {
		t.Errorf("classes %q and %q", first, again)
	}
}
