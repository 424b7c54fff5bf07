package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"regexp"
)

const maxMS = 1000

// scoreRequest is the body of POST /score.
type scoreRequest struct {
	Features map[string]any `json:"features"` // numbers, texts, booleans, null
	MS       float64        `json:"ms"`
}

// requestError is what is wrong with a request, for its sender to read.
type requestError struct {
	status int
	text   string
}

func (e *requestError) Error() string { return e.text }

func bad(format string, args ...any) error {
	return &requestError{http.StatusBadRequest, fmt.Sprintf(format, args...)}
}

var tenantName = regexp.MustCompile(`^[A-Za-z0-9._-]{1,64}$`)

// tenantOf takes the tenant's word for who it is; a service that is not an example knows it from the
// request's credentials.
func tenantOf(r *http.Request) (string, error) {
	name := r.Header.Get("X-Tenant")
	if name == "" {
		return "", bad("name the tenant in the header X-Tenant")
	}
	if !tenantName.MatchString(name) {
		return "", bad("X-Tenant: give 1 to 64 letters, digits, dots, dashes or underscores")
	}
	return name, nil
}

func readScore(body io.Reader) (in scoreRequest, err error) {
	d := json.NewDecoder(body)
	d.DisallowUnknownFields()
	if err := d.Decode(&in); err != nil {
		return in, unreadable(err)
	}
	switch _, err := d.Token(); {
	case err == nil:
		return in, bad("the body goes on after the JSON object: send one request at a time")
	case !errors.Is(err, io.EOF):
		return in, unreadable(err)
	}
	if in.Features == nil {
		return in, bad(`features: missing: send {"features": {…}}`)
	}
	for name, v := range in.Features {
		switch v.(type) {
		case []any, map[string]any:
			return in, bad("features: %q: give a number, a text, a boolean or null", name)
		}
	}
	if in.MS < 0 || in.MS > maxMS {
		return in, bad("ms: %g: give 0 to %d", in.MS, maxMS)
	}
	return in, nil
}

// unreadable says in the client's words why its body is not a request.
func unreadable(err error) error {
	if e, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return &requestError{http.StatusRequestEntityTooLarge, fmt.Sprintf("the body is longer than %d bytes", e.Limit)}
	}
	if e, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		where := e.Field
		if where == "" {
			where = "the body"
		}
		return bad("%s: a JSON %s does not belong there", where, e.Value)
	}
	return bad("the body is not a request in JSON: %v", err)
}
