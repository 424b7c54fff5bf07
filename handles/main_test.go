package handles_test

import (
	"testing"

	"gilt/internal/pytest"
)

func TestMain(m *testing.M) { pytest.Main(m, nil) }
