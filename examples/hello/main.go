// Hello calls Python from Go in the three ways that most programs need: a prepared function, a task with
// a token, and an exception that is a Go error.
package main

import (
	"context"
	"errors"
	"fmt"
	"log"

	"gilt"
	_ "gilt/embedded" // a bundled CPython, used when no other is named
	py "gilt/handles"
)

func main() {
	ctx := context.Background()
	rt, err := gilt.Open(ctx, gilt.Config{})
	if err != nil {
		log.Fatal(err)
	}
	defer rt.Shutdown(ctx)

	// A function looked up once, called from any goroutine.
	sqrt, err := gilt.Lookup[float64, float64](ctx, rt, "math:sqrt")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(sqrt.Call(ctx, 2))

	// A task: the token proves that Python may be used, until the function returns.
	err = rt.Do(ctx, func(tok *gilt.Token) error {
		words, err := py.From(tok, []string{"go", "and", "python"})
		if err != nil {
			return err
		}
		longest, err := py.EvalAs[string](tok, "max(words, key=len)", namespace(tok, "words", words))
		fmt.Println(longest, err)
		tok.AllowThreads(func() { fmt.Println("Go works here while others run Python") })
		return nil
	})
	if err != nil {
		log.Fatal(err)
	}

	// A Python exception is a Go error.
	_, err = sqrt.Call(ctx, -1)
	fmt.Println(errors.Is(err, py.ValueError), err)
}

func namespace(tok *gilt.Token, name string, v any) py.Dict {
	ns, err := py.NewDict(tok, map[string]any{name: v})
	if err != nil {
		log.Fatal(err)
	}
	return ns
}

// Output:
// 1.4142135623730951 <nil>
// python <nil>
// Go works here while others run Python
// true ValueError: expected a nonnegative input, got -1.0
