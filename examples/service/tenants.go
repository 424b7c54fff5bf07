package main

import (
	"fmt"
	"hash/fnv"
	"sync"
)

// A tenant has a class of its own, as long as there are no more than maxTenants. Those who come later share sharedClasses. So there
// are never more classes than the scheduler makes (gilt.Config.MaxClasses), whatever names are sent, and nobody is refused for
// others' names.
const (
	maxTenants    = 1000
	sharedClasses = 64
)

// tenants gives tenants their classes' names. Any goroutine may use it.
type tenants struct {
	mu    sync.RWMutex
	own   map[string]bool // the tenants with a class of their own, until the service ends
	limit int
}

func newTenants(limit int) *tenants { return &tenants{own: map[string]bool{}, limit: limit} }

// class gives the name of the tenant's class.
func (t *tenants) class(tenant string) string {
	t.mu.RLock()
	own, full := t.own[tenant], len(t.own) >= t.limit
	t.mu.RUnlock()
	if !own && !full {
		t.mu.Lock()
		if own = len(t.own) < t.limit || t.own[tenant]; own {
			t.own[tenant] = true
		}
		t.mu.Unlock()
	}
	if own {
		return tenant
	}
	h := fnv.New32a()
	_, _ = h.Write([]byte(tenant))                            // never fails
	return fmt.Sprintf("/shared-%d", h.Sum32()%sharedClasses) // no tenant has this name
}
