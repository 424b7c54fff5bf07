package scheduler

import (
	"fmt"
	"sync"
	"testing"
	"time"
)

// Each class knows its own functions, as many as there are: none is forgotten because another's place is the same.
func TestHistoriesAreKept(t *testing.T) {
	s, err := New(Config{})
	if err != nil {
		t.Fatal(err)
	}
	const functions = 1000
	other, err := s.Class("other", ClassConfig{})
	if err != nil {
		t.Fatal(err)
	}
	classes := []*Class{s.Default(), other}
	seen := map[*History]bool{}
	for _, c := range classes {
		for f := range uintptr(functions) {
			h := c.History(f << 4) // as addresses are
			if seen[h] {
				t.Fatalf("function %d of %s shares a history", f, c.Name())
			}
			seen[h] = true
			h.Took(true, true, time.Second)
		}
	}
	for _, c := range classes {
		for f := range uintptr(functions) {
			if h := c.History(f << 4); !seen[h] {
				t.Fatalf("function %d of %s was forgotten", f, c.Name())
			}
		}
	}
}

// A class that is given new functions for ever keeps as many as it may.
func TestHistoriesAreBounded(t *testing.T) {
	s, err := New(Config{})
	if err != nil {
		t.Fatal(err)
	}
	for f := range uintptr(10 * mostKnown) {
		s.Default().History(f)
	}
	if n := len(*s.Default().histories.table.Load()); n > 2*mostKnown {
		t.Errorf("a table of %d", n)
	}
}

func TestHistoriesAtOnce(t *testing.T) {
	s, err := New(Config{})
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	got := make([][]*History, 8)
	for i := range got {
		all.Go(func() {
			for f := range uintptr(500) {
				got[i] = append(got[i], s.Default().History(f))
			}
		})
	}
	all.Wait()
	for i := range got {
		for f := range got[i] {
			if got[i][f] != got[0][f] {
				t.Fatalf("function %d has two histories", f)
			}
		}
	}
}

// BenchmarkHistory is the look-up that each task makes, where so many classes take turns.
func BenchmarkHistory(b *testing.B) {
	for _, n := range []int{1, 50, 1000, 10000} {
		b.Run(fmt.Sprint(n, " classes"), func(b *testing.B) {
			s, err := New(Config{MaxClasses: n + 1})
			if err != nil {
				b.Fatal(err)
			}
			classes := make([]*Class, n)
			for i := range classes {
				if classes[i], err = s.Class(fmt.Sprint("tenant ", i), ClassConfig{}); err != nil {
					b.Fatal(err)
				}
				for f := range uintptr(100) {
					classes[i].History(f << 4)
				}
			}
			i := 0
			for b.Loop() {
				if classes[i%n].History(uintptr(i%100) << 4).Long() {
					b.Fatal("it is long")
				}
				i++
			}
		})
	}
}
