package handles_test

import (
	"context"
	"errors"
	"iter"
	"strings"
	"testing"

	"gilt"
	py "gilt/handles"
	"gilt/internal/pytest"
)

// changers change a container while it is iterated: what they do at a step depends on nothing but the seed, the
// step, and what the container has.
const changers = `
import random
def change_list(c, seed, i):
    r = random.Random(seed * 1000 + i)
    n = len(c)
    k = r.randrange(8)
    if k == 0: c.append(-i)
    elif k == 1 and n: c.pop()
    elif k == 2 and n: c.pop(0)
    elif k == 3: c.insert(r.randrange(n + 1), -i)
    elif k == 4: r.shuffle(c)
    elif k == 5: del c[n // 2:n // 2 + 3]
    elif k == 6: c[1:3] = [object, -i, None][:r.randrange(4)]
    elif k == 7 and r.randrange(10) == 0: c.clear()
def change_dict(c, seed, i):
    r = random.Random(seed * 1000 + i)
    keys = list(c)
    k = r.randrange(7)
    old = keys[r.randrange(len(keys))] if keys else None
    if k < 4 and keys: # another in its place
        del c[old]
        c[-i if k else old] = i
    elif k == 4 and keys: c[old] = 'changed'
    elif k == 5 and r.randrange(20) == 0: c[-i] = i
    elif k == 6 and r.randrange(20) == 0: c.pop(old, None)
def change_names(c, seed, i):
    r = random.Random(seed * 1000 + i)
    keys = list(c)
    k = r.randrange(4)
    if k == 0 and keys: c[keys[-1]] = i
    elif k == 1 and r.randrange(9) == 0: c['n%d' % i] = i
    elif k == 2 and keys:
        del c[keys[r.randrange(len(keys))]]
        c['m%d' % i] = i
class Sub(list): pass
class SubDict(dict): pass
class O:
    def __init__(self): self.a = self.b = self.c = self.d = self.e = self.f = self.g = self.h = 1
def change_set(c, seed, i):
    r = random.Random(seed * 1000 + i)
    k = r.randrange(3)
    if k == 0 and c:
        c.discard(sorted(c)[0])
        c.add(1000 + i)
    elif k == 1 and r.randrange(20) == 0: c.add(2000 + i)
    elif k == 2 and r.randrange(20) == 0 and c: c.discard(sorted(c)[-1])
def in_python(c, change, seed, every, items):
    seen = []
    try:
        for i, v in enumerate(c.items() if items else c):
            seen.append(list(v) if items else v)
            if i % every == every - 1: change(c, seed, i)
            if i > 500: raise ValueError('endless')
    except Exception as e:
        seen.append(type(e).__name__ + ': ' + str(e))
    return repr(seen)
`

// bodies are what the body of a loop does besides: none of it is seen.
func bodies(t *testing.T, tok *gilt.Token, c py.Py) []func() {
	scope := func(f func(py.Bound)) func() {
		return func() {
			if err := py.Scope(tok, func() error { f(c.Bind(tok)); return nil }); err != nil {
				t.Error(err)
			}
		}
	}
	return []func(){
		func() {}, func() {}, func() {},
		func() { tok.AllowThreads(func() {}) },
		func() { detached(t, tok) },
		scope(func(py.Bound) {}),
		scope(func(b py.Bound) { _, _ = b.Len(); _, _ = b.Repr() }),
		scope(func(b py.Bound) { // the same container, again
			for _, err := range b.Iter() {
				if err != nil {
					t.Error(err)
				}
			}
		}),
		func() { // a task inside
			pytest.Do(t, func(in *gilt.Token) {
				if _, err := c.Bind(in).Len(); err != nil {
					t.Error(err)
				}
			})
		},
	}
}

// changing runs a loop in Go whose body changes the container, and gives what it saw as Python's repr.
func changing(t *testing.T, tok *gilt.Token, seq iter.Seq2[any, error], c, change py.Bound, seed, every int) string {
	t.Helper()
	owned, changer := c.Unbind(), change.Unbind()
	defer owned.Release()
	defer changer.Release()
	extra := bodies(t, tok, owned)
	act := func(in *gilt.Token, i int) {
		if _, err := changer.Bind(in).Call(owned.Bind(in), seed, i); err != nil {
			t.Error(err)
		}
	}
	seen := []any{}
	i := 0
	for v, err := range seq {
		if err != nil {
			seen = append(seen, err.Error())
			break
		}
		seen = append(seen, v)
		switch {
		case i%every != every-1:
		case (seed+i)%3 == 0:
			tok.AllowThreads(func() { onAnotherThread(t, func(other *gilt.Token) { act(other, i) }) })
		default:
			act(tok, i)
		}
		extra[(seed*7+i)%len(extra)]()
		if i++; i > 502 {
			t.Fatal("endless")
		}
	}
	s, err := must(py.From(tok, seen)).Repr()
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func onAnotherThread(t *testing.T, f func(*gilt.Token)) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := pytest.Runtime().Do(context.Background(), func(tok *gilt.Token) error { f(tok); return nil }); err != nil {
			t.Error(err)
		}
	}()
	<-done
}

func objects(seq iter.Seq2[py.Bound, error]) iter.Seq2[any, error] {
	return func(yield func(any, error) bool) {
		for v, err := range seq {
			if !yield(v, err) {
				return
			}
		}
	}
}

func lists(seq iter.Seq2[py.Item, error]) iter.Seq2[any, error] {
	return func(yield func(any, error) bool) {
		for item, err := range seq {
			if !yield([]any{item.Key, item.Value}, err) {
				return
			}
		}
	}
}

// Loops over containers that change see what Python's own loops see, and end as they end.
func TestIteration_AsPythonSeesChanges(t *testing.T) {
	for _, c := range []struct {
		create, change string
		items          bool
		seq            func(py.Bound) iter.Seq2[any, error]
	}{
		{"list(range(60))", "change_list", false, func(b py.Bound) iter.Seq2[any, error] { return objects(py.List{Bound: b}.Iter()) }},
		{"list(range(60))", "change_list", false, func(b py.Bound) iter.Seq2[any, error] { return objects(py.Sequence{Bound: b}.Iter()) }},
		{"list(range(60))", "change_list", false, func(b py.Bound) iter.Seq2[any, error] { return objects(b.Iter()) }},
		{"Sub(range(60))", "change_list", false, func(b py.Bound) iter.Seq2[any, error] { return objects(py.List{Bound: b}.Iter()) }},
		{"dict.fromkeys(range(60))", "change_dict", true, func(b py.Bound) iter.Seq2[any, error] { return lists(py.Dict{Bound: b}.Items()) }},
		{"dict.fromkeys(range(5))", "change_dict", true, func(b py.Bound) iter.Seq2[any, error] { return lists(py.Dict{Bound: b}.Items()) }},
		{"vars(O())", "change_names", true, func(b py.Bound) iter.Seq2[any, error] { return lists(py.Dict{Bound: b}.Items()) }},
		{"dict.fromkeys(range(60))", "change_dict", true, func(b py.Bound) iter.Seq2[any, error] { return lists(py.Mapping{Bound: b}.Items()) }},
		{"SubDict.fromkeys(range(60))", "change_dict", true, func(b py.Bound) iter.Seq2[any, error] { return lists(py.Dict{Bound: b}.Items()) }},
		{"dict.fromkeys(range(60))", "change_dict", false, func(b py.Bound) iter.Seq2[any, error] { return objects(b.Iter()) }},
		{"set(range(60))", "change_set", false, func(b py.Bound) iter.Seq2[any, error] { return objects(py.Set{Bound: b}.Iter()) }},
	} {
		t.Run(c.create, func(t *testing.T) {
			endings := map[string]int{}
			for seed := range 40 {
				pytest.Do(t, func(tok *gilt.Token) {
					ns := pytest.Module(t, tok, changers)
					every := 1 + seed%17
					change := pytest.Get(t, ns, c.change)
					b := must(py.Eval(tok, c.create, ns))
					got := changing(t, tok, c.seq(b), b, change, seed, every)
					want, err := py.CallAs[string](pytest.Get(t, ns, "in_python"), must(py.Eval(tok, c.create, ns)), change, seed, every, c.items)
					if err != nil {
						t.Fatal(err)
					}
					if got != want {
						t.Errorf("seed %d:\ngot  %s\nwant %s", seed, got, want)
					}
					noneLeft(t, tok)
					ending := "end"
					for _, e := range []string{"changed size", "keys changed"} {
						if strings.Contains(want, e) {
							ending = e
						}
					}
					endings[ending]++
				})
			}
			if !strings.Contains(c.change, "list") && (endings["end"] == 0 || endings["changed size"] == 0) {
				t.Error("the seeds do not make all endings:", endings)
			}
			t.Log(endings)
		})
	}
}

// Entries that are deleted and added at the same size: CPython gives as many as there were, and then an error.
func TestIteration_DictOfOtherKeys(t *testing.T) {
	pytest.Do(t, func(tok *gilt.Token) {
		d := eval(t, tok, py.Cast[py.Dict], "dict.fromkeys(range(10))")
		n := 0
		var last error
		for item, err := range d.Items() {
			if last = err; err != nil {
				break
			}
			if err := d.DelItem(item.Key); err != nil {
				t.Fatal(err)
			}
			if err := d.Set(100+n, n); err != nil {
				t.Fatal(err)
			}
			n++
		}
		if n != 10 || !errors.Is(last, py.RuntimeError) {
			t.Error(n)
		}
		wantText(t, tok, last, "RuntimeError: dictionary keys changed during iteration")
	})
}

// Handles of one loop, with the next one begun inside it, are all good to the end.
func TestIteration_NestedOverTheSameList(t *testing.T) {
	pytest.Do(t, func(tok *gilt.Token) {
		l := eval(t, tok, py.Cast[py.List], "[object() for _ in range(100)]")
		n := 0
		for a, err := range l.Iter() {
			if err != nil {
				t.Fatal(err)
			}
			j := 0
			for b, err := range l.Iter() {
				if err != nil {
					t.Fatal(err)
				}
				if a.Is(b) != (n == j) {
					t.Fatal(n, j)
				}
				j++
			}
			if n++; j != 100 {
				t.Fatal(j)
			}
		}
		if n != 100 {
			t.Error(n)
		}
	})
}

// What was brought before is the scope's that was open then: it is refused, or brought anew, when that has ended.
func TestIteration_PulledAcrossScopes(t *testing.T) {
	const create = "[object() for _ in range(200)]"
	pytest.Do(t, func(tok *gilt.Token) {
		l := eval(t, tok, py.Cast[py.List], create)
		d := eval(t, tok, py.Cast[py.Dict], "{i: object() for i in range(200)}")
		sub := eval(t, tok, py.Cast[py.List], "type('Sub', (list,), {})(object() for _ in range(200))")
		for name, seq := range map[string]iter.Seq2[any, error]{"list": objects(l.Iter()), "items": lists(d.Items())} {
			next, stop := iter.Pull2(seq)
			var old py.Bound
			for got := 0; got < 200; { // some were brought together with those of the scope before
				if err := py.Scope(tok, func() error {
					for range min(1+got%7, 200-got) {
						v, err, ok := next()
						if err != nil || !ok {
							t.Fatal(name, got, err)
						}
						if pair, is := v.([]any); is {
							v = pair[1]
						}
						old = v.(py.Bound)
						got++
					}
					_, err := old.Repr()
					return err
				}); err != nil {
					t.Error(name, err)
				}
				pytest.WantMisuse(t, "scope has ended", func() { _, _ = old.Repr() })
			}
			if _, _, ok := next(); ok {
				t.Error("it does not end")
			}
			stop()
		}
		for name, open := range map[string]func() iter.Seq2[any, error]{
			"list":     func() iter.Seq2[any, error] { return objects(py.List{Bound: l.Unbind().Bind(tok)}.Iter()) },
			"items":    func() iter.Seq2[any, error] { return lists(py.Dict{Bound: d.Unbind().Bind(tok)}.Items()) },
			"iterator": func() iter.Seq2[any, error] { return objects(l.Bound.Iter()) },
			"subclass": func() iter.Seq2[any, error] { return objects(sub.Iter()) },
		} {
			var next func() (any, error, bool)
			var stop func()
			if err := py.Scope(tok, func() error {
				next, stop = iter.Pull2(open())
				_, err, _ := next()
				_, err2, _ := next()
				return errors.Join(err, err2)
			}); err != nil {
				t.Error(name, err)
			}
			e, err := pytest.Misused(func() { _, _, _ = next() })
			if err != nil || e == nil {
				t.Errorf("%s: %v, %v", name, e, err)
			}
			stop()
		}
		noneLeft(t, tok)
	})
}

// An iterator that outlives its task is refused.
func TestIteration_PulledAfterTheTask(t *testing.T) {
	var seq iter.Seq2[py.Bound, error]
	//gilt:vet-ignore what is iterated is changed, or misused, on purpose
	pytest.Do(t, func(tok *gilt.Token) { seq = eval(t, tok, py.Cast[py.List], "[1, 2, 3]").Iter() })
	next, stop := iter.Pull2(seq)
	defer stop()
	if e, err := pytest.Misused(func() { _, _, _ = next() }); err != nil || !strings.Contains(e.Rule, "task has ended") {
		t.Error(e, err)
	}
}

// A body that breaks off, panics, or goes on after an inner misuse leaves the loop's list as it is.
func TestIteration_BrokenOff(t *testing.T) {
	pytest.Do(t, func(tok *gilt.Token) {
		l := eval(t, tok, py.Cast[py.List], "[object() for _ in range(50)]")
		counts := func() int64 {
			n, err := py.EvalAs[int64](tok, "sum(map(__import__('sys').getrefcount, l))", must(py.NewDict(tok, map[string]any{"l": l})))
			if err != nil {
				t.Fatal(err)
			}
			return n
		}
		var before, after int64
		_ = py.Scope(tok, func() error { before = counts(); return nil })
		for range 20 {
			_ = py.Scope(tok, func() error {
				n := 0
				for range l.Iter() {
					if n++; n == 7 {
						break
					}
				}
				func() {
					defer func() { _ = recover() }()
					for range l.Iter() {
						panic("body")
					}
				}()
				for range l.Iter() {
				}
				return nil
			})
		}
		_ = py.Scope(tok, func() error { after = counts(); return nil })
		if before != after {
			t.Errorf("reference counts went from %d to %d", before, after)
		}
	})
}

// In AllowThreads the loop cannot go on, and afterwards it does.
func TestIteration_InsideAllowThreads(t *testing.T) {
	pytest.Do(t, func(tok *gilt.Token) {
		l := eval(t, tok, py.Cast[py.List], "list(range(100))")
		next, stop := iter.Pull2(l.Iter())
		defer stop()
		for i := range 10 {
			v, err, ok := next()
			if n, bad := v.Int64(); err != nil || bad != nil || !ok || n != int64(i) {
				t.Fatal(n, err, bad, ok)
			}
		}
		tok.AllowThreads(func() {
			pytest.WantMisuse(t, "inside AllowThreads", func() {
				//gilt:vet-ignore what is iterated is changed, or misused, on purpose
				for range l.Iter() {
					t.Error("it iterated")
				}
			})
		})
		seen := 0
		for v, err := range l.Iter() {
			n, bad := v.Int64()
			if err != nil || bad != nil || n != int64(seen) {
				t.Fatal(n, err, bad)
			}
			tok.AllowThreads(func() {
				//gilt:vet-ignore what is iterated is changed, or misused, on purpose
				pytest.WantMisuse(t, "inside AllowThreads", func() { _, _ = v.Int64() })
			})
			seen++
		}
		if seen != 100 {
			t.Error(seen)
		}
	})
}

// A dict's subclass: its __len__ is not asked, and its items may be anything that unpacks to two.
func TestIteration_DictSubclasses(t *testing.T) {
	pytest.Do(t, func(tok *gilt.Token) {
		for expr, want := range map[string]string{
			"type('D', (dict,), {'__len__': lambda self: 1/0})(a=1)":                                 "[['a', 1]]",
			"type('D', (dict,), {'__len__': lambda self: -1})(a=1)":                                  "[['a', 1]]",
			"type('D', (dict,), {'items': lambda self: [[1, 2], (3, 4), 'ab', iter([5, 6])]})()":     "[[1, 2], [3, 4], ['a', 'b'], [5, 6]]",
			"type('D', (dict,), {'items': lambda self: [__import__('itertools').count()]})()":        "ValueError: too many values to unpack (expected 2)",
			"type('D', (dict,), {'items': lambda self: [(1, 2), (1, 2, 3)]})()":                      "ValueError: too many values to unpack (expected 2)",
			"type('D', (dict,), {'items': lambda self: [(1, 2), 'a']})()":                            "ValueError: not enough values to unpack (expected 2, got 1)",
			"type('D', (dict,), {'items': lambda self: [()]})()":                                     "ValueError: not enough values to unpack (expected 2, got 0)",
			"type('D', (dict,), {'items': lambda self: [3]})()":                                      "TypeError: 'int' object is not iterable",
			"type('D', (dict,), {'items': lambda self: 3})()":                                        "TypeError: 'int' object is not iterable",
			"type('D', (dict,), {'items': lambda self: 1/0})()":                                      "ZeroDivisionError: division by zero",
			"type('D', (dict,), {'items': None})()":                                                  "TypeError: 'NoneType' object is not callable",
			"type('D', (dict,), {'__iter__': lambda self: iter('xyz')})(a=1)":                        "[['a', 1]]",
			"__import__('collections').OrderedDict(b=2, a=1)":                                        "[['b', 2], ['a', 1]]",
			"__import__('collections').defaultdict(int, a=1)":                                        "[['a', 1]]",
			"type('D', (dict,), {'items': lambda self: (1/0 if x else (1, 2) for x in range(2))})()": "ZeroDivisionError: division by zero",
		} {
			got, err := collectItems(eval(t, tok, py.Cast[py.Dict], expr).Items())
			noneLeft(t, tok)
			text := ""
			if err != nil {
				text = err.Error()
			} else {
				text, err = must(py.From(tok, got)).Repr()
			}
			if text != want {
				t.Errorf("%s:\ngot  %s, %v\nwant %s", expr, text, err, want)
			}
		}
	})
}

// What is no list, tuple or dict at all, though a handle says so.
func TestIteration_OfOtherObjects(t *testing.T) {
	pytest.Do(t, func(tok *gilt.Token) {
		for expr, want := range map[string]string{"3": "TypeError: 'int' object is not iterable", "None": "TypeError: 'NoneType' object is not iterable"} {
			b := must(py.Eval(tok, expr, must(py.NewDict(tok, nil)).Bound))
			_, err := collect(t, py.List{Bound: b}.Iter())
			wantText(t, tok, err, want)
			_, err = collect(t, py.Tuple{Bound: b}.Iter())
			wantText(t, tok, err, want)
			_, err = collectItems(py.Dict{Bound: b}.Items())
			if !errors.Is(err, py.AttributeError) {
				t.Error(err)
			}
			noneLeft(t, tok)
		}
	})
}

// A borrowed list whose owner is released in the loop's body is gone at once, also while items are at hand.
func TestIteration_BorrowedAndReleased(t *testing.T) {
	pytest.Do(t, func(tok *gilt.Token) {
		for at := range 12 {
			p := eval(t, tok, py.Cast[py.List], "[object() for _ in range(100)]").Unbind()
			l := must(py.Cast[py.List](p.Borrow(tok)))
			n := 0
			pytest.WantMisuse(t, "was released", func() {
				for _, err := range l.Iter() {
					if err != nil || n > at {
						t.Fatal("it goes on", err)
					}
					if n == at {
						p.Release()
					}
					n++
				}
			})
		}
	})
}
