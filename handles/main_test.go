package handles_test

import (
	"testing"

	"gilt/internal/pytest"
)

func TestMain(m *testing.M) {
	pytest.Main(m, pytest.Children{
		"other interpreter": otherInterpreter, "into another interpreter": intoAnother, "Python's interpreter": pythonsInterpreter,
		"errors of two interpreters":      errorsOfTwo,
		"basic types of two interpreters": basicTypesOfTwo,
		"containers of two interpreters":  containersOfTwo,
		"datetimes own GIL":               datetimesOwnGIL,
	})
}
