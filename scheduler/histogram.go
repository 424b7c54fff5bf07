package scheduler

import (
	"math/bits"
	"sync/atomic"
	"time"
)

// buckets: four to each power of two, from 0 ns to 2^41 ns (36 minutes); longer counts in the last.
const buckets = 160

// Histogram is a snapshot of durations in fixed buckets, four to each power of two, so a quantile is
// at most a quarter too high. The zero value is empty.
type Histogram struct {
	counts [buckets]uint64
	count  uint64
	sum    int64
}

// Count is how many durations were recorded.
func (h *Histogram) Count() uint64 { return h.count }

// Mean is their exact average, 0 if there are none.
func (h *Histogram) Mean() time.Duration {
	if h.count == 0 {
		return 0
	}
	return time.Duration(h.sum / int64(h.count))
}

// Quantile returns a duration that the share p (0 to 1) of what was recorded does not exceed: the
// upper edge of its bucket. 0 if nothing was recorded.
func (h *Histogram) Quantile(p float64) time.Duration {
	if h.count == 0 {
		return 0
	}
	rank := uint64(min(max(p, 0), 1) * float64(h.count))
	rank = min(max(rank, 1), h.count)
	for i, n := range h.counts {
		if n >= rank {
			return time.Duration(bucketEdge(i))
		}
		rank -= n
	}
	return time.Duration(bucketEdge(buckets - 1))
}

func (h *Histogram) add(o *Histogram) {
	for i, n := range o.counts {
		h.counts[i] += n
	}
	h.count += o.count
	h.sum += o.sum
}

func bucketOf(ns int64) int {
	v := uint64(max(ns, 0))
	shift := max(bits.Len64(v)-3, 0)
	return min(4*shift+int(v>>shift), buckets-1)
}

// bucketEdge is the largest duration in bucket i.
func bucketEdge(i int) int64 {
	shift := max(i/4-1, 0)
	return int64(i-4*shift+1)<<shift - 1
}

// recorder is the histogram being written, by any goroutine. Its kilobyte is made at the first record.
type recorder struct{ p atomic.Pointer[recording] }

type recording struct {
	counts [buckets]atomic.Uint64
	sum    atomic.Int64
}

func (r *recorder) record(ns int64) {
	d := r.p.Load()
	if d == nil {
		d = new(recording)
		if !r.p.CompareAndSwap(nil, d) {
			d = r.p.Load()
		}
	}
	d.counts[bucketOf(ns)].Add(1)
	d.sum.Add(max(ns, 0))
}

func (r *recorder) snapshot() (h Histogram) {
	d := r.p.Load()
	if d == nil {
		return h
	}
	for i := range d.counts {
		h.counts[i] = d.counts[i].Load()
		h.count += h.counts[i]
	}
	h.sum = d.sum.Load()
	return h
}
