package wait

import (
	"context"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"gilt"
	"gilt/gil"
	py "gilt/handles"
)

func use(...any) {}

func held(ctx context.Context, rt *gilt.Runtime, tok *gilt.Token, f *gilt.Future[int]) {
	f.Wait(ctx) // want `submitted work is waited for with the token held: .* wait in Token.AllowThreads \(gilt rule: wait\)`
	<-f.Done()  // want `submitted work is waited for with the token held`
	func() {
		f.Wait(ctx) // want `submitted work is waited for`
	}()
	_ = py.Scope(tok, func() error {
		_, err := f.Wait(ctx) // want `submitted work is waited for`
		return err
	})
	select { // with a default: it does not wait
	case <-f.Done():
	default:
	}
	tok.AllowThreads(func() { f.Wait(ctx) })
	go func() { f.Wait(ctx) }()
	wait := func() { f.Wait(ctx) }
	tok.AllowThreads(wait)
}

func tasks(ctx context.Context, rt *gilt.Runtime, f *gilt.Future[int]) {
	_ = rt.Do(ctx, func(*gilt.Token) error {
		_, err := f.Wait(ctx) // want `submitted work is waited for`
		return err
	})
	gilt.Submit(ctx, rt, func(tok *gilt.Token) (int, error) { return f.Wait(ctx) }) // want `submitted work is waited for`
	f.Wait(ctx)
	<-f.Done()
}

func others(tok *gilt.Token, ch chan int, g *errgroup.Group) {
	<-ch                    // want `a receive with the token held keeps all others from Python, .* \(gilt rule: wait\)`
	time.Sleep(time.Second) // want `time.Sleep with the token held`
	var wg sync.WaitGroup
	wg.Wait()    // want `sync.WaitGroup.Wait with the token held`
	_ = g.Wait() // want `errgroup.Group.Wait with the token held`
	select {     // want `a select statement with the token held`
	case <-ch:
	case ch <- 1:
	}
	for range ch { // want `a receive with the token held`
	}
	direct := make(chan int)
	direct <- 1 // want `a send with the token held`
	buffered := make(chan int, 1)
	buffered <- 1
	ch <- 1 // there may be room
	select {
	case <-ch:
	default:
	}
	tok.AllowThreads(func() {
		<-ch
		time.Sleep(time.Second)
		wg.Wait()
	})
	var ours gil.WaitGroup
	ours.Wait(tok)
}

func notHeld(ch chan int, b py.Bound) {
	<-ch
	time.Sleep(time.Second)
}

func locks(tok *gilt.Token, b py.Bound, mu *sync.Mutex, rw *sync.RWMutex, ours *gil.Mutex, n map[string]int, owned map[string]py.Py, bounds []py.Bound) {
	mu.Lock() // want `Python is used with a sync.Mutex locked: .* use a lock of package gil`
	py.Eval(tok, "1")
	mu.Unlock()

	rw.RLock() // want `Python is used with a sync.RWMutex locked`
	defer rw.RUnlock()
	b.Len()

	mu.Lock() // want `Python is used with a sync.Mutex locked`
	defer mu.Unlock()
	owned["b"] = b.Unbind()

	mu.Lock()
	bounds = append(bounds, b)
	mu.Unlock()

	mu.Lock() // only Go is run
	n["x"]++
	mu.Unlock()
	b.Len()

	ours.Lock(tok)
	b.Len()
	ours.Unlock()
}
