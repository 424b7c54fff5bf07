// Bothways shows Go and Python in one program: Python code that is embedded in the binary, Go functions that it
// imports as a module, a Go error that passes through Python, a call for a thousand arguments, and coroutines awaited
// from goroutines.
package main

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"log"
	"os"
	"sync"

	"gilt"
	_ "gilt/embedded"
	py "gilt/handles"
)

//go:embed rules.py
var code embed.FS

var errUnknown = errors.New("unknown item")

var prices = map[string]float64{"tea": 3, "cake": 4.5}

// host is what `import host` gives Python.
var host = gilt.GoModule{
	Name:   "host",
	Values: map[string]any{"DISCOUNT": 0.1},
	Funcs: []gilt.GoFunc{{
		Name: "unit_price", Signature: "(item: str) -> float",
		Func: func(item string) (float64, error) {
			if p, ok := prices[item]; ok {
				return p, nil
			}
			return 0, fmt.Errorf("%q: %w", item, errUnknown)
		},
	}},
}

func main() {
	if err := run(context.Background()); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context) error {
	rt, err := gilt.Open(ctx, gilt.Config{
		Modules: []gilt.GoModule{host},
		FS:      []fs.FS{code},
		Stdout:  os.Stdout,
	})
	if err != nil {
		return err
	}
	defer rt.Shutdown(ctx)

	price, err := gilt.Lookup2[string, int, float64](ctx, rt, "rules:price")
	if err != nil {
		return err
	}
	fmt.Println(price.Call(ctx, "cake", 2))
	_, err = price.Call(ctx, "gold", 1)
	fmt.Println(errors.Is(err, errUnknown), err)

	// A thousand calls in one crossing.
	one, err := gilt.Lookup[string, float64](ctx, rt, "rules:price")
	if err != nil {
		return err
	}
	items := make([]string, 1000)
	for i := range items {
		items[i] = "tea"
	}
	all, errs := one.Batch(ctx, items)
	fmt.Println(len(all), all[999], errs)

	// Coroutines, a hundred at once.
	quote, err := gilt.LookupAsync[string, string](ctx, rt, "rules:quote")
	if err != nil {
		return err
	}
	var wait sync.WaitGroup
	for range 100 {
		wait.Go(func() {
			if _, err := quote.Call(ctx, "tea"); err != nil {
				log.Print(err)
			}
		})
	}
	wait.Wait()
	fmt.Println(quote.Call(ctx, "cake"))

	// Python's print goes where Config.Stdout says.
	return rt.Do(ctx, func(tok *gilt.Token) error {
		return py.Run(tok, "import host, inspect\nprint(inspect.signature(host.unit_price))")
	})
}

// Output:
// 8.1 <nil>
// true gilt.GoError: "gold": unknown item
// 1000 2.7 []
// cake: 4.05 <nil>
// (item: str) -> float
