package gil_test

import (
	"context"
	"testing"

	"gilt"
	"gilt/gil"
	"gilt/internal/pytest"
)

func TestMain(m *testing.M) { pytest.Main(m, children) }

var ctx = context.Background()

func host(t testing.TB) (h *gil.Host) {
	pytest.Do(t, func(tok *gilt.Token) { h = tok.Host() })
	return h
}
