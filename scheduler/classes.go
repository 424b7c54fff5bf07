package scheduler

import (
	"fmt"
	"sync/atomic"
)

// maxClassesLimit is what a lane's word can name.
const maxClassesLimit = 1 << classBits

// Class returns the class of that name and makes it on first use. The zero ClassConfig makes it from
// Config.Template, and gives an existing class whatever it was made with. The empty name is the default
// class. Any goroutine may call it.
//
// It returns an error that matches ErrConfig for a bad name (MaxClassName bytes of UTF-8 at most, without control characters) or a bad cfg, or one that is
// not the existing class's, ErrForeignClass for a parent of another scheduler, and ErrTooManyClasses when Config.MaxClasses are in use and none has been idle
// for Config.ClassIdle.
func (s *Scheduler) Class(name string, cfg ClassConfig) (*Class, error) {
	if name == "" {
		name = DefaultClass
	}
	template := cfg == (ClassConfig{})
	if template {
		cfg = s.cfg.Template
	}
	given := cfg
	if err := cfg.normalise(name, s.cfg.MaxInFlight); err != nil {
		return nil, err
	}
	if cfg.Parent != nil && cfg.Parent.s != s {
		return nil, ErrForeignClass
	}
	s.mu.Lock()
	defer s.unlock()
	c := s.byName[name]
	if c == nil {
		err := checkName(name)
		if err != nil {
			return nil, err
		}
		if c, err = s.make(name, given, cfg); err != nil {
			return nil, err
		}
	}
	if !template && !c.config.same(given) {
		return nil, badConfig("class %q exists with %+v, and %+v was asked for: a class keeps what it was made with", name, c.config, given)
	}
	return c, nil
}

// same reports whether a class that was made with cfg is what one made with o would be.
func (cfg ClassConfig) same(o ClassConfig) bool {
	if p, q := cfg.Parent, o.Parent; p != nil && q != nil && p.name == q.name {
		cfg.Parent = q
	}
	return cfg == o
}

// make makes a class, or gives the one of that name that another goroutine has made meanwhile.
func (s *Scheduler) make(name string, given, cfg ClassConfig) (*Class, error) {
	c := &Class{
		s: s, name: name, config: given, parent: cfg.Parent, maxInFlight: cfg.MaxInFlight, maxQueued: cfg.MaxQueued, standing: standingAt(cfg.TargetWait), cancellation: cfg.Cancellation,
		share: share{up: &s.root, weight: cfg.Weight, activeAt: never}, cells: make([]cell, len(s.lanes)), sampleLeft: sampleEvery, idlePlace: -1,
	}
	if p := c.parent; p != nil {
		if p.whole().depth() >= maxDepth-1 {
			return nil, badConfig("class %q: its parent %q is below %d others: at most %d classes may be above each other", name, p.name, p.whole().depth(), maxDepth)
		}
		if p.limited() && (!c.limited() || c.maxInFlight > p.maxInFlight) {
			c.maxInFlight = p.maxInFlight // so that its grants are counted: see inside
		}
	}
	for i := range c.cells {
		c.cells[i].class = c
	}
	c.general = c.addLine(kindNew, nil)
	return s.enrol(c)
}

// enrol gives c an index and its name, unless another class has that name: then it gives that. It may let go of s.mu in between: see makeRoom.
func (s *Scheduler) enrol(c *Class) (*Class, error) {
	parent, err := s.enrolParent(c)
	if err != nil {
		return nil, err
	}
	err = s.makeRoom()
	if now := s.byName[c.name]; now != nil || err != nil {
		if parent != nil {
			parent.children--
		}
		return now, err
	}
	if n := len(s.unused); n > 0 {
		atomic.StoreUint32(&c.index, s.unused[n-1])
		s.unused = s.unused[:n-1]
		s.classes[c.index] = c
	} else {
		atomic.StoreUint32(&c.index, uint32(len(s.classes)))
		s.classes = append(s.classes, c)
	}
	c.parent = parent
	s.settleIn(c)
	s.keep(c, s.cfg.Now())
	s.byName[c.name] = c
	c.expired.Store(false)
	return c, nil
}

// enrolParent gives the parent of c, which must not expire from now on. It may have expired, and be enrolled again.
func (s *Scheduler) enrolParent(c *Class) (*Class, error) {
	if c.parent == nil {
		return nil, nil
	}
	p, err := s.current(c.parent)
	if err != nil {
		return nil, err
	}
	if p.maxInFlight != c.parent.maxInFlight || p.whole().depth() >= maxDepth-1 {
		return nil, badConfig("class %q: its parent %q was forgotten, and made with another MaxInFlight or parent since: name the new one as Parent", c.name, p.name)
	}
	s.makeGroup(p)
	p.children++
	return p, nil
}

// current is the class that c's handle stands for: c itself, enrolled again if it has expired, or the class
// that has taken its name since. It may let go of s.mu in between.
func (s *Scheduler) current(c *Class) (*Class, error) {
	if !c.expired.Load() {
		return c, nil
	}
	if now := s.byName[c.name]; now != nil {
		return now, nil
	}
	return s.enrol(c)
}

// busy reports whether anything of c is waiting or in flight.
func (s *Scheduler) busy(c *Class) bool {
	for i := range s.lanes {
		if w := s.lanes[i].load(); w.held() && w.class() == int(c.index) {
			return true
		}
	}
	s.board()
	return c.queued+c.resuming+c.lapsed+c.suspended+c.children > 0
}

// expire takes c's index. Whoever is on the fast path with it has read a lane's word before, or sees that it
// has expired after: so every word is changed in between. The next class of that index must not barge: see word.
func (s *Scheduler) expire(c *Class) {
	c.expired.Store(true)
	for i := range s.lanes {
		l := &s.lanes[i]
		for w := l.load(); !w.held() && !l.cas(w, w.next(s.def.index).free()); w = l.load() {
		}
	}
	if s.busy(c) { // it was taken before the word changed
		c.expired.Store(false)
		return
	}
	delete(s.byName, c.name)
	s.unused = append(s.unused, c.index)
	s.idlest.remove(c.idlePlace)
	if c.parent != nil {
		c.parent.children--
	}
}

// Drop forgets a class at once. It returns an error that matches ErrClassBusy while work of the class waits
// or runs, or it has children. The handle may be used again later, which makes the class anew.
func (s *Scheduler) Drop(c *Class) error {
	if c == nil || c.s != s {
		return ErrForeignClass
	}
	s.mu.Lock()
	defer s.unlock()
	if c.expired.Load() {
		return nil
	}
	if c == s.def {
		return fmt.Errorf("%w: it is the default class, which stays", ErrClassBusy)
	}
	if c.fold(); s.busy(c) {
		return fmt.Errorf("%w: class %q: %d wait, %d are in flight, it has %d children", ErrClassBusy, c.name, c.queued+c.resuming, c.lapsed+c.suspended, c.children)
	}
	s.expire(c)
	return nil
}
