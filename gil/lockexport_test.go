package gil

// InLine is how many wait for the lock.
func (m *Mutex) InLine() int { return m.l.inLine() }

// InLine is how many wait for the lock.
func (m *RWMutex) InLine() int { return m.l.inLine() }

// InLine is how many wait for the condition.
func (c *Cond) InLine() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.line.Len()
}

func (l *lock) inLine() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.line.Len()
}

// Clean says whether nobody has the lock, and nobody waits for it.
func (m *Mutex) Clean() bool { return m.l.state.Load() == 0 && m.l.inLine() == 0 }

// Clean says whether nobody has the lock, and nobody waits for it.
func (m *RWMutex) Clean() bool { return m.l.state.Load() == 0 && m.l.inLine() == 0 }

// InLine is 1 when somebody waits, however many do, and otherwise 0.
func (g *WaitGroup) InLine() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.zero == nil {
		return 0
	}
	return 1
}
