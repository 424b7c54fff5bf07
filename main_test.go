package gilt_test

import (
	"context"
	"testing"

	"gilt/internal/pytest"
)

func TestMain(m *testing.M) { pytest.Main(m, children) }

var ctx = context.Background()
