package gil_test

import "gilt/internal/pytest"

var children = pytest.Children{}
