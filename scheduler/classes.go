package scheduler

import (
	"fmt"
	"sync/atomic"
	"time"
)

// maxClassesLimit is what a lane's word can name.
const maxClassesLimit = 1 << classBits

// Class returns the class of that name and makes it on first use. The zero ClassConfig makes it from
// Config.Template, and gives an existing class whatever it was made with. The empty name is the default
// class. Any goroutine may call it.
//
// It returns an error that matches ErrConfig for a bad name (MaxClassName bytes of UTF-8 at most, without control characters) or a bad cfg, or one that is not the existing class's, and
// ErrTooManyClasses when Config.MaxClasses are in use and none has been idle for Config.ClassIdle.
func (s *Scheduler) Class(name string, cfg ClassConfig) (*Class, error) {
	if name == "" {
		name = DefaultClass
	}
	asked := cfg
	if asked == (ClassConfig{}) {
		cfg = s.cfg.Template
	}
	given := cfg
	if err := cfg.normalise(name, s.cfg.MaxInFlight); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.unlock()
	if c := s.byName[name]; c != nil {
		if asked != (ClassConfig{}) && given != c.config {
			return nil, badConfig("class %q exists with %+v, and %+v was asked for: a class keeps what it was made with", name, c.config, asked)
		}
		return c, nil
	}
	if err := checkName(name); err != nil {
		return nil, err
	}
	c := &Class{
		s: s, name: name, config: given, weight: cfg.Weight, maxInFlight: cfg.MaxInFlight, maxQueued: cfg.MaxQueued, standing: standingAt(cfg.TargetWait), cancellation: cfg.Cancellation,
		cells: make([]cell, len(s.lanes)), sampleLeft: sampleEvery,
	}
	for i := range c.cells {
		c.cells[i].class = c
	}
	c.general = c.addLine(&s.general, kindNew)
	c.turn = turn{class: c, place: -1}
	if err := s.enrol(c); err != nil {
		return nil, err
	}
	return c, nil
}

// enrol gives c an index and its name.
func (s *Scheduler) enrol(c *Class) error {
	s.sweep(len(s.byName) >= s.cfg.MaxClasses)
	if len(s.byName) >= s.cfg.MaxClasses {
		return fmt.Errorf("%w: %d are in use", ErrTooManyClasses, len(s.byName))
	}
	if n := len(s.unused); n > 0 {
		atomic.StoreUint32(&c.index, s.unused[n-1])
		s.unused = s.unused[:n-1]
		s.classes[c.index] = c
	} else {
		atomic.StoreUint32(&c.index, uint32(len(s.classes)))
		s.classes = append(s.classes, c)
	}
	c.vtime = max(c.vtime, s.clock)
	c.sweptAt, c.sweptHad = s.cfg.Now(), c.released
	s.byName[c.name] = c
	c.expired.Store(false)
	return nil
}

// current is the class that c's handle stands for: c itself, enrolled again if it has expired, or the class
// that has taken its name since.
func (s *Scheduler) current(c *Class) (*Class, error) {
	if !c.expired.Load() {
		return c, nil
	}
	if now := s.byName[c.name]; now != nil {
		return now, nil
	}
	return c, s.enrol(c)
}

// sweep expires the classes that have had nothing to do since a sweep at least ClassIdle ago. It looks at
// all of them, so it does that now and then only, or when there is no room and one may have been idle for long enough.
func (s *Scheduler) sweep(full bool) {
	now, idle := s.cfg.Now(), int64(s.cfg.ClassIdle)
	if full && now < s.noneIdleBefore || !full && now-s.sweptAt < idle/4 {
		return
	}
	s.sweptAt, s.noneIdleBefore = now, now+idle
	s.foldDirty()
	for _, c := range s.byName {
		switch c.fold(); {
		case c == s.def || s.busy(c) || c.released != c.sweptHad:
			c.sweptAt, c.sweptHad = now, c.released
		case now-c.sweptAt >= idle:
			s.expire(c)
		default:
			s.noneIdleBefore = min(s.noneIdleBefore, c.sweptAt+idle)
		}
	}
}

// busy reports whether anything of c is waiting or in flight.
func (s *Scheduler) busy(c *Class) bool {
	for i := range s.lanes {
		if w := s.lanes[i].load(); w.held() && w.class() == int(c.index) {
			return true
		}
	}
	s.board()
	return c.queued+c.resuming+c.lapsed+c.suspended > 0
}

// expire takes c's index. Whoever is on the fast path with it has read a lane's word before, or sees that it
// has expired after: so every word is changed in between.
func (s *Scheduler) expire(c *Class) {
	c.expired.Store(true)
	for i := range s.lanes {
		l := &s.lanes[i]
		for w := l.load(); !w.held() && !l.cas(w, w.next(uint32(w.class())).free()); w = l.load() {
		}
	}
	if s.busy(c) { // it was taken before the word changed
		c.expired.Store(false)
		return
	}
	delete(s.byName, c.name)
	s.unused = append(s.unused, c.index)
}

// Drop forgets a class at once. It returns an error that matches ErrClassBusy while work of the class waits
// or runs. The handle may be used again later, which makes the class anew.
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
	s.foldDirty()
	if c.fold(); s.busy(c) {
		return fmt.Errorf("%w: class %q: %d wait, %d are in flight", ErrClassBusy, c.name, c.queued+c.resuming, c.lapsed+c.suspended)
	}
	s.expire(c)
	return nil
}

// defaultClassIdle is the default of Config.ClassIdle.
const defaultClassIdle = time.Minute
