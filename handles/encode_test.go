package handles_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	py "gilt/handles"
	"gilt/internal/pytest"
)

// A struct that shows nothing of itself must not become an empty dict in silence.
func TestStructsWithoutExportedFieldsAreRefused(t *testing.T) {
	err := pytest.Runtime().Do(t.Context(), func(tok *py.Token) error {
		if _, err := py.From(tok, struct{}{}); err != nil {
			t.Error("struct{} is an empty dict: ", err)
		}
		_, err := py.From(tok, []any{time.Now()})
		return err
	})
	if !errors.Is(err, py.TypeError) || !strings.Contains(err.Error(), "time.Time") {
		t.Errorf("From([]any{time.Now()}) gave %v", err)
	}
}
