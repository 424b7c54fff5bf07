// A Go library for python3 that opens gilt, which cannot be: see TestOpen_InsidePython.
package main

import "C"

import (
	"context"
	"errors"
	"fmt"

	"gilt"
)

//export Try
func Try() C.int {
	rt, err := gilt.Open(context.Background(), gilt.Config{})
	fmt.Println("Open:", rt, err)
	if rt != nil || !errors.Is(err, gilt.ErrPythonRuns) {
		return 1
	}
	return 0
}

func main() {}
