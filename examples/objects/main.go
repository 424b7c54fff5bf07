// Objects works with Python's objects by their types: checked casts, look-ups with ok, loops, dates, and a handle that
// outlives its task.
package main

import (
	"context"
	"errors"
	"fmt"
	"log"
	"time"

	"gilt"
	_ "gilt/embedded"
	py "gilt/handles"
)

func main() {
	ctx := context.Background()
	rt, err := gilt.Open(ctx, gilt.Config{})
	if err != nil {
		log.Fatal(err)
	}
	defer rt.Shutdown(ctx)

	var stock py.Py // owned: any goroutine may keep it, and releases it
	err = rt.Do(ctx, func(tok *gilt.Token) error {
		b, err := py.Eval(tok, `{"apples": 3, "pears": 12, "since": __import__("datetime").date(2026, 11, 27)}`)
		if err != nil {
			return err
		}
		if _, err := py.Cast[py.List](b); errors.Is(err, py.TypeError) {
			fmt.Println(err)
		}
		d, err := py.Cast[py.Dict](b)
		if err != nil {
			return err
		}
		stock = d.Unbind()
		return look(d)
	})
	if err != nil {
		log.Fatal(err)
	}
	defer stock.Release()

	err = rt.Do(ctx, func(tok *gilt.Token) error {
		d, err := py.Cast[py.Dict](stock.Bind(tok))
		if err != nil {
			return err
		}
		return total(tok, d)
	})
	if err != nil {
		log.Fatal(err)
	}
}

func look(d py.Dict) error {
	v, ok, err := d.Get("plums")
	fmt.Println(v.IsZero(), ok, err)
	v, _, err = d.Get("since")
	if err != nil {
		return err
	}
	since, err := py.Cast[py.Date](v)
	if err != nil {
		return err
	}
	day, err := since.Time()
	fmt.Println(day.Format(time.DateOnly), err)
	_, _, err = d.Pop("since")
	return err
}

func total(tok *gilt.Token, d py.Dict) error {
	counts, err := py.NewList(tok)
	if err != nil {
		return err
	}
	for item, err := range d.Items() {
		if err != nil {
			return err
		}
		name, err := item.Key.Text()
		if err != nil {
			return err
		}
		fmt.Println(name)
		if err := counts.Append(item.Value); err != nil {
			return err
		}
	}
	if err := counts.Extend([]int64{100, 200}); err != nil {
		return err
	}
	sum, err := py.EvalAs[int](tok, "sum(counts)", must(py.NewDict(tok, map[string]any{"counts": counts})))
	fmt.Println(sum, err)
	return nil
}

func must[T any](v T, err error) T {
	if err != nil {
		log.Fatal(err)
	}
	return v
}

// Output:
// TypeError: 'dict' object is not an instance of 'list'
// true false <nil>
// 2026-11-27 <nil>
// apples
// pears
// 315 <nil>
